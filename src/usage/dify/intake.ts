import { createAside, Waits } from "../../platform/aside.ts";
import { createBatcher } from "../../platform/batcher.ts";
import { appError } from "../../platform/errors.ts";
import { uuidv7 } from "../../platform/ids.ts";
import { isLockTimeout } from "../../platform/postgres.ts";
import { freeNeeds, HeldUp, nameOf, type Need } from "./busy.ts";
import type { Delivery, Item } from "./groups.ts";
import { isolating } from "./isolate.ts";
import { payerOf } from "./price.ts";
import { chargeSoon } from "./soon.ts";
import { createTaking, type Taken, type TakingDeps } from "./taking.ts";

export type { Delivery } from "./groups.ts";
export type { Taken } from "./taking.ts";

/** Takes message_end events: stores, charges and answers each in one short transaction that it shares with those that came meanwhile. */
export interface Intake {
  /**
   * Rejects when Postgres cannot be reached, or with `unavailable` when too many deliveries wait or this one's wallet is kept locked; what
   * was sent may then be sent again, for it is charged once.
   */
  take(delivery: Delivery): Promise<Taken>;
  /** Waits until nothing is being taken. */
  idle(): Promise<void>;
}

/** What an item of a batch gets: its answer, or one that it has to wait for beside the batch. */
type Given = Taken | { later: Promise<Taken | Error> };

const MAX_BATCH = 200;
/** A transaction of one event costs nearly as much as one of ten: at 500 a second ten share one, and nobody waits much longer for it. */
const SPACING_MS = 15;
/** One that waits for something holds up no other. Batches begin so far apart all the same. */
const LANES = 2;
/** As long as a sender waits for its answer; see the router. */
const ASIDE_MS = 10_000;
/** What comes in four seconds at 500 a second: whoever comes behind so many would wait in vain. */
const MOST_WAITING = 2_000;

/** Creates the intake of one process. `onBatch` is told of every group commit: how many deliveries it had and how many seconds it took. */
export function createIntake(deps: TakingDeps & { onBatch?: (items: number, seconds: number) => void }): Intake {
  const { pool, retry } = deps;
  const { decided, takeFree, putAside } = createTaking(deps);

  const aside = createAside<Item, Taken, Need>({
    free: (needs) => freeNeeds(deps, needs),
    waitMs: ASIDE_MS,
    late: () => appError("unavailable", { message: "The wallet or the message is busy", retryAfter: 1 }),
    async run(items) {
      const answers = await isolating<Item, Taken | HeldUp>(
        items,
        async (batch) => {
          const taken = await takeFree(await decided(batch));
          return batch.map(({ id }) => taken.get(id)!);
        },
        putAside,
      );
      return answers.map((answer) => (answer instanceof HeldUp ? new Waits([...answer.needs.values()].flat()) : answer));
    },
  });

  async function run(batch: readonly Item[]): Promise<Given[]> {
    const groups = await decided(batch);
    const behind = new Map<string, Need>();
    for (const { decision, members, leader } of aside.size === 0 ? [] : groups) {
      const needs = [payerOf(decision)?.walletId ?? [], nameOf(leader.message)].flat();
      const waited = needs.find((need) => aside.waitsFor(need));
      if (waited !== undefined) for (const { id } of members) behind.set(id, waited);
    }
    const answers = await takeFree(groups.filter(({ leader }) => !behind.has(leader.id)));
    return batch.map((item): Given => {
      const need = behind.get(item.id);
      if (need !== undefined) return { later: aside.add(item, [need]) };
      const answer = answers.get(item.id)!;
      return answer instanceof HeldUp ? { later: aside.add(item, [...answer.needs.values()].flat()) } : answer;
    });
  }

  const batcher = createBatcher<Item, Given | Error>({
    run: (batch) => isolating(batch, run, putAside),
    maxBatch: MAX_BATCH,
    lanes: LANES,
    spacingMs: SPACING_MS,
    ...(deps.onBatch ? { onBatch: deps.onBatch } : {}),
  });

  return {
    async take(delivery) {
      if (batcher.size + aside.size >= MOST_WAITING) throw appError("unavailable", { message: "Too many deliveries wait", retryAfter: 1 });
      const given = await batcher.add({ ...delivery, id: uuidv7() });
      const taken = "later" in given ? await given.later : given;
      if (isLockTimeout(taken)) throw appError("unavailable", { message: "Somebody keeps what all charges share", retryAfter: 1 });
      if (taken instanceof Error) throw taken;
      const { soon, ...rest } = taken;
      const answer = soon === undefined ? undefined : await chargeSoon({ pool, retry }, soon);
      return answer ? { answer, kind: taken.kind } : rest;
    },
    async idle() {
      await batcher.idle();
      await aside.idle();
    },
  };
}
