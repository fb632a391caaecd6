import type { Logger } from "../../platform/logger.ts";
import { inTransaction, isLockTimeout, type Pool } from "../../platform/postgres.ts";
import { reportIncidents } from "../incidents.ts";
import type { DifyAnswer } from "./answers.ts";
import { aroundBusy, HeldUp, namesOf } from "./busy.ts";
import { chargeMessages } from "./charge.ts";
import { correctionOf, storeCorrection } from "./corrected.ts";
import type { ReadyDays } from "./days.ts";
import type { ChargeDeps } from "./due.ts";
import { groupsOf, type Group, type Item } from "./groups.ts";
import type { Outcome } from "./outcome.ts";
import type { Decide, Decision } from "./price.ts";
import type { Unpaid } from "./reported.ts";
import { readEvents, storeEvents, takeDeliveries, type FirstEvent } from "./repository.ts";
import type { Retry } from "./retry.ts";
import { asideIncident, asideOutcome, conflict, oddities, rowOf, saysTheSame } from "./rows.ts";
import { isWorthWaiting } from "./soon.ts";

/** What a delivery is answered, and why. */
export interface Taken {
  answer: DifyAnswer;
  /** `first`: charged or kept just now. `repeat`: the answer it had before. `differs`: a repeat that says something else than the first. */
  kind: "first" | "repeat" | "differs";
  outcome?: Outcome;
  /** The kept event, while the relay is just making its message. */
  soon?: string;
}

/** Deliveries that get one answer, and who pays for what they say. */
export interface Decided extends Group {
  decision: Decision;
}

/** What became of the first of those that get one answer. */
interface Led {
  answer: DifyAnswer;
  outcome?: Outcome;
  /** What came before it. */
  first?: FirstEvent | undefined;
}

export interface TakingDeps extends ChargeDeps {
  pool: Pool;
  log: Logger;
  decide: Decide;
  retry: Retry;
  readyDays: ReadyDays;
}

/** Taking deliveries in transactions of Postgres: each is stored, charged and answered, or not taken at all. */
export interface Taking {
  decided(batch: readonly Item[]): Promise<Decided[]>;
  /** Takes groups in one transaction, but for those that would have to wait for somebody. Answers by the ids of the items. */
  takeFree(groups: readonly Decided[]): Promise<Map<string, Taken | HeldUp>>;
  /** One that nobody knows how to charge is kept for an operator, and answered so. */
  putAside(item: Item, error: Error): Promise<Taken>;
}

const isWaiting = (first: FirstEvent | undefined): first is FirstEvent => first?.state === "open" && !first.charged;

export function createTaking(deps: TakingDeps): Taking {
  const { pool, log, decide, retry, readyDays } = deps;

  const placeOf = (item: Item, deliveries: number) => ({
    received_at: item.receivedAt.toISOString(),
    deliveries,
    processing_ms: Math.round(performance.now() - item.startMs),
  });

  async function decided(batch: readonly Item[]): Promise<Decided[]> {
    const groups = groupsOf(batch);
    const decisions = await decide(groups.map(({ leader }) => leader.message));
    return groups.map((group, n) => ({ ...group, decision: decisions[n]! }));
  }

  /** Takes groups in one transaction, or none of them. */
  async function takeAll(groups: readonly Decided[]): Promise<Led[]> {
    await readyDays(groups.map(({ leader }) => leader.message.at));
    let after = () => {};
    const led = await inTransaction(pool, async (tx) => {
      const firsts = await takeDeliveries(
        tx,
        groups.map(({ leader: { id, message }, members }) => ({ id, message, times: members.length })),
      ).catch((error: unknown) => {
        throw isLockTimeout(error) ? new HeldUp(namesOf(groups.map(({ leader }) => leader)), { cause: error }) : error;
      });
      const taken: Led[] = [];
      const unpaid: (Unpaid & { place: number })[] = [];
      for (const [place, { leader, decision }] of groups.entries()) {
        const first = firsts.get(place);
        if (first) taken[place] = { answer: { status: first.status, body: first.answer }, first };
        else unpaid.push({ ...leader, decision, place });
      }
      const odd = groups.flatMap(({ leader, members }, place) => {
        const { id, message } = firsts.get(place) ?? leader;
        return members.flatMap((item) => (saysTheSame(message, item.message) ? [] : [conflict(id, message, item.message)]));
      });
      for (const [place, first] of firsts) {
        const message = correctionOf(
          first,
          groups[place]!.members.map((item) => item.message),
        );
        if (!message) continue;
        await storeCorrection(tx, first.id, message);
        taken[place]!.first = { ...first, message };
      }
      let settle: (() => Promise<void>) | undefined;
      if (unpaid.length > 0) {
        const charged = await chargeMessages(tx, deps, unpaid);
        const rows = unpaid.map((one, n) =>
          rowOf(one, charged.outcomes[n]!, placeOf(groups[one.place]!.leader, groups[one.place]!.members.length)),
        );
        await storeEvents(tx, rows);
        for (const [n, one] of unpaid.entries()) {
          const outcome = charged.outcomes[n]!;
          taken[one.place] = { answer: outcome.answer, outcome };
          odd.push(...oddities(one, outcome));
        }
        ({ settle, committed: after } = charged);
      }
      await reportIncidents(tx, odd);
      await settle?.();
      return taken;
    });
    after();
    return led;
  }

  /** What could not be charged then may be now: the same that an operator's replay does, when no delivery is held up by it any more. */
  async function answersOf(groups: readonly Decided[], led: readonly Led[]): Promise<Map<string, Taken>> {
    const waiting = led.flatMap(({ first }) => (isWaiting(first) ? [first.id] : []));
    if (waiting.length > 0) await retry(waiting);
    const now = waiting.length > 0 ? await readEvents(pool, waiting) : new Map<string, FirstEvent>();
    const answer = (item: Item, leader: Item, { answer, outcome, first }: Led): Taken => {
      const leads = leader === item;
      const soon = outcome?.soon ? { soon: leader.id } : {};
      if (leads && !first) return { answer, kind: "first", ...(outcome ? { outcome } : {}), ...soon };
      const kind = saysTheSame((first ?? leader).message, item.message) ? "repeat" : "differs";
      const since = first && now.get(first.id);
      if (!since) return { answer, kind, ...soon };
      if (isWorthWaiting(since)) return { answer, kind, soon: since.id };
      return { answer: { status: since.status, body: since.answer }, kind: since.charged && leads && kind === "repeat" ? "first" : kind };
    };
    return new Map(
      groups.flatMap(({ leader, members }, place) => members.map((item): [string, Taken] => [item.id, answer(item, leader, led[place]!)])),
    );
  }

  async function takeFree(groups: readonly Decided[]): Promise<Map<string, Taken | HeldUp>> {
    const byId = new Map(groups.map((group) => [group.leader.id, group]));
    const answers = new Map<string, Taken | HeldUp>();
    const { answer, busy } = await aroundBusy(deps, [...byId.keys()], async (ids) => {
      const chosen = ids.map((id) => byId.get(id)!);
      return answersOf(chosen, await takeAll(chosen));
    });
    for (const [id, taken] of answer ?? []) answers.set(id, taken);
    for (const [id, needs] of busy) for (const item of byId.get(id)!.members) answers.set(item.id, new HeldUp(new Map([[id, needs]])));
    return answers;
  }

  async function putAside(item: Item, error: Error): Promise<Taken> {
    log.error({ err: error, message_id: item.message.messageId }, "a dify event cannot be charged and is put aside");
    const outcome = asideOutcome(item.traceId);
    return inTransaction(pool, async (tx) => {
      const first = (await takeDeliveries(tx, [{ ...item, times: 1 }])).get(0);
      if (first) {
        const kind = saysTheSame(first.message, item.message) ? "repeat" : "differs";
        return { answer: { status: first.status, body: first.answer }, kind };
      }
      await storeEvents(tx, [rowOf(item, outcome, placeOf(item, 1))]);
      await reportIncidents(tx, [asideIncident(item.id, item.message, error)]);
      return { answer: outcome.answer, kind: "first", outcome };
    });
  }

  return { decided, takeFree, putAside };
}
