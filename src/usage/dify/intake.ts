import { createBatcher } from "../../platform/batcher.ts";
import { uuidv7 } from "../../platform/ids.ts";
import type { Logger } from "../../platform/logger.ts";
import { inTransaction, type Pool } from "../../platform/postgres.ts";
import { reportIncidents } from "../incidents.ts";
import type { DifyAnswer } from "./answers.ts";
import { chargeMessages, type ChargeDeps } from "./charge.ts";
import type { ReadyDays } from "./days.ts";
import { isolating } from "./isolate.ts";
import type { DifyMessage } from "./message.ts";
import type { Outcome } from "./outcome.ts";
import type { Decide } from "./price.ts";
import type { Unpaid } from "./reported.ts";
import { readEvents, storeEvents, takeDeliveries, type FirstEvent } from "./repository.ts";
import type { Retry } from "./retry.ts";
import { asideIncident, asideOutcome, conflict, oddities, rowOf, saysTheSame } from "./rows.ts";
import { chargeSoon, isWorthWaiting } from "./soon.ts";

/** A message_end event on its way in. */
export interface Delivery {
  message: DifyMessage;
  traceId: string;
  receivedAt: Date;
  /** `performance.now()` of its first byte. */
  startMs: number;
}

/** What a delivery is answered, and why. */
export interface Taken {
  answer: DifyAnswer;
  /** `first`: charged or kept just now. `repeat`: the answer it had before. `differs`: a repeat that says something else than the first. */
  kind: "first" | "repeat" | "differs";
  outcome?: Outcome;
  /** The kept event, while the relay is just making its message. */
  soon?: string;
}

/** Takes message_end events: stores, charges and answers each in one short transaction that it shares with those that came meanwhile. */
export interface Intake {
  /** Rejects when Postgres cannot be reached; what was sent may then be sent again, for it is charged once. */
  take(delivery: Delivery): Promise<Taken>;
  /** Waits until nothing is being taken. */
  idle(): Promise<void>;
}

interface Item extends Delivery {
  id: string;
}

/** An item of a batch that is taken, or comes first of those that say the same. */
interface Led {
  answer: DifyAnswer;
  outcome?: Outcome;
  /** What came before it. */
  first?: FirstEvent | undefined;
}

const MAX_BATCH = 200;
/** A transaction of one event costs nearly as much as one of ten: at 500 a second ten share one, and nobody waits much longer for it. */
const SPACING_MS = 15;
/** One that waits for a wallet holds up no other. Batches begin so far apart all the same. */
const LANES = 2;

/** Of one batch: each message once, and who waits for its answer with it. */
function gather(batch: readonly Item[]): { leaders: Item[]; leaderOf: number[] } {
  const leaders: Item[] = [];
  const places = new Map<string, number>();
  const leaderOf = batch.map((item) => {
    const [message, request] = [`m${item.message.messageId}`, `r${item.message.requestId}`];
    const known = places.get(message);
    const place = known ?? places.get(request) ?? leaders.push(item) - 1;
    // Another message under a request id that was used is answered with the first; its own message may come rightly yet.
    if (known !== undefined || leaders[place] === item) {
      places.set(message, place);
      if (!places.has(request)) places.set(request, place);
    }
    return place;
  });
  return { leaders, leaderOf };
}

const isWaiting = (first: FirstEvent | undefined): first is FirstEvent => first?.state === "open" && !first.charged;

/** Creates the intake of one process. */
export function createIntake(
  deps: ChargeDeps & {
    pool: Pool;
    log: Logger;
    decide: Decide;
    retry: Retry;
    readyDays: ReadyDays;
    /** Told of every group commit: how many deliveries it had and how many seconds it took. */
    onBatch?: (items: number, seconds: number) => void;
  },
): Intake {
  const { pool, log, decide, retry, readyDays } = deps;

  const placeOf = (item: Item, deliveries: number) => ({
    received_at: item.receivedAt.toISOString(),
    deliveries,
    processing_ms: Math.round(performance.now() - item.startMs),
  });

  async function run(batch: readonly Item[]): Promise<Taken[]> {
    const { leaders, leaderOf } = gather(batch);
    const decisions = await decide(leaders.map(({ message }) => message));
    await readyDays(leaders.map(({ message }) => message.at));
    const times = leaders.map((_, place) => leaderOf.filter((of) => of === place).length);
    let after = () => {};
    const led = await inTransaction(pool, async (tx) => {
      const firsts = await takeDeliveries(
        tx,
        leaders.map(({ id, message }, place) => ({ id, message, times: times[place]! })),
      );
      const taken: Led[] = [];
      const unpaid: (Unpaid & { place: number })[] = [];
      for (const [place, item] of leaders.entries()) {
        const first = firsts.get(place);
        if (first) taken[place] = { answer: { status: first.status, body: first.answer }, first };
        else unpaid.push({ ...item, decision: decisions[place]!, place });
      }
      const odd = batch.flatMap((item, n) => {
        const { id, message } = firsts.get(leaderOf[n]!) ?? leaders[leaderOf[n]!]!;
        return saysTheSame(message, item.message) ? [] : [conflict(id, message, item.message)];
      });
      if (unpaid.length > 0) {
        const { outcomes, committed } = await chargeMessages(tx, deps, unpaid);
        const rows = unpaid.map((one, n) => rowOf(one, outcomes[n]!, placeOf(leaders[one.place]!, times[one.place]!)));
        await storeEvents(tx, rows);
        for (const [n, one] of unpaid.entries()) {
          taken[one.place] = { answer: outcomes[n]!.answer, outcome: outcomes[n]! };
          odd.push(...oddities(one, outcomes[n]!));
        }
        after = committed;
      }
      await reportIncidents(tx, odd);
      return taken;
    });
    after();
    return settleRepeats(batch, leaders, leaderOf, led);
  }

  /** What could not be charged then may be now: the same that an operator's replay does, when no delivery is held up by it any more. */
  async function settleRepeats(batch: readonly Item[], leaders: Item[], leaderOf: number[], led: Led[]): Promise<Taken[]> {
    const waiting = led.flatMap(({ first }) => (isWaiting(first) ? [first.id] : []));
    if (waiting.length > 0) await retry(waiting);
    const now = waiting.length > 0 ? await readEvents(pool, waiting) : new Map<string, FirstEvent>();
    return batch.map((item, n): Taken => {
      const place = leaderOf[n]!;
      const { answer, outcome, first } = led[place]!;
      const leads = leaders[place] === item;
      const soon = outcome?.soon ? { soon: leaders[place]!.id } : {};
      if (leads && !first) return { answer, kind: "first", ...(outcome ? { outcome } : {}), ...soon };
      const kind = saysTheSame((first ?? leaders[place]!).message, item.message) ? "repeat" : "differs";
      const since = first && now.get(first.id);
      if (!since) return { answer, kind, ...soon };
      if (isWorthWaiting(since)) return { answer, kind, soon: since.id };
      return { answer: { status: since.status, body: since.answer }, kind: since.charged && leads && kind === "repeat" ? "first" : kind };
    });
  }

  /** One that nobody knows how to charge is kept for an operator, and answered so. */
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

  const batcher = createBatcher<Item, Taken | Error>({
    run: (batch) => isolating(batch, run, putAside),
    maxBatch: MAX_BATCH,
    lanes: LANES,
    spacingMs: SPACING_MS,
    ...(deps.onBatch ? { onBatch: deps.onBatch } : {}),
  });

  return {
    async take(delivery) {
      const taken = await batcher.add({ ...delivery, id: uuidv7() });
      if (taken instanceof Error) throw taken;
      const { soon, ...rest } = taken;
      const answer = soon === undefined ? undefined : await chargeSoon({ pool, retry }, soon);
      return answer ? { answer, kind: taken.kind } : rest;
    },
    idle: () => batcher.idle(),
  };
}
