import { createBatcher } from "../../platform/batcher.ts";
import { AppError } from "../../platform/errors.ts";
import { uuidv7 } from "../../platform/ids.ts";
import type { Logger } from "../../platform/logger.ts";
import { inTransaction, isConnectionError, type Pool } from "../../platform/postgres.ts";
import { reportIncidents, type Incident } from "../incidents.ts";
import { isDataError } from "../repository.ts";
import type { Settlement } from "../settlement.ts";
import type { DifyAnswer } from "./answers.ts";
import { chargeMessages, type Outcome, type Unpaid } from "./charge.ts";
import { tokensUsed, type DifyMessage } from "./message.ts";
import type { Decide } from "./price.ts";
import { lockOpen, storeEvents, takeDeliveries, type FirstEvent, type KeptEvent } from "./repository.ts";

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
}

/** Takes message_end events: stores, charges and answers each in one short transaction that it shares with those that came meanwhile. */
export interface Intake {
  /** Rejects when Postgres cannot be reached; what was sent may then be sent again, for it is charged once. */
  take(delivery: Delivery): Promise<Taken>;
  /** Tries again to charge open events that nobody was charged for; answers how many of them were. Safe at any time and from several sides. */
  retry(ids: readonly string[]): Promise<{ tried: number; charged: number }>;
  /** Waits until nothing is being taken. */
  idle(): Promise<void>;
}

interface Item extends Delivery {
  id: string;
}

const MAX_BATCH = 200;
/** A transaction of one event costs nearly as much as one of ten: at 500 a second ten share one, and nobody waits much longer for it. */
const SPACING_MS = 15;
const ATTEMPTS = 4;

/** Postgres chose this transaction to give way, or its connection went: the same again is right, for every step is idempotent. */
function isWorthRepeating(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "40P01" || code === "40001" || isConnectionError(error);
}

const isTheirFault = (error: unknown): boolean =>
  isDataError(error) || error instanceof RangeError || (error instanceof AppError && error.status < 500);

const saysTheSame = (a: DifyMessage, b: DifyMessage): boolean =>
  a.messageId === b.messageId &&
  a.inputTokens === b.inputTokens &&
  a.outputTokens === b.outputTokens &&
  a.user === b.user &&
  a.model === b.model;

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

/** Creates the intake of one process. */
export function createIntake(deps: {
  pool: Pool;
  log: Logger;
  decide: Decide;
  settlement: Pick<Settlement, "settleIn">;
  shards: number;
  /** Told of every group commit: how many deliveries it had and how many seconds it took. */
  onBatch?: (items: number, seconds: number) => void;
}): Intake {
  const { pool, log, decide } = deps;

  function rowOf(unpaid: Unpaid, outcome: Outcome, of: Pick<KeptEvent, "received_at" | "deliveries" | "processing_ms">): KeptEvent {
    const { message } = unpaid;
    const now = new Date().toISOString();
    return {
      id: unpaid.id,
      message_id: message.messageId,
      request_id: message.requestId,
      conversation_id: message.conversationId,
      external_user: message.user,
      model_name: message.model,
      input_tokens: message.inputTokens,
      output_tokens: message.outputTokens,
      total_tokens: message.totalTokens,
      happened_at: message.at.toISOString(),
      ...of,
      last_delivery_at: now,
      ...outcome.kept,
      status: outcome.answer.status,
      answer: outcome.answer.body,
      resolved_at: null,
      resolved_by: null,
      note: null,
    };
  }

  /** What does not add up is for operators to see. */
  function oddities(unpaid: Unpaid, outcome: Outcome): Incident[] {
    const { message } = unpaid;
    const subject = { kind: "usage_disagrees", subject: unpaid.id, userId: outcome.kept.user_id } as const;
    if (outcome.disagrees) {
      const reported = { input: message.inputTokens, output: message.outputTokens };
      return [{ ...subject, details: { message_id: message.messageId, relayed: outcome.disagrees, reported } }];
    }
    if (message.totalTokens === tokensUsed(message)) return [];
    return [{ ...subject, details: { message_id: message.messageId, total_tokens: message.totalTokens, parts: tokensUsed(message) } }];
  }

  async function runOnce(batch: readonly Item[]): Promise<Taken[]> {
    const { leaders, leaderOf } = gather(batch);
    const decisions = await decide(leaders.map(({ message }) => message));
    const times = leaders.map((_, place) => leaderOf.filter((of) => of === place).length);
    let after = () => {};
    const taken = await inTransaction(pool, async (tx) => {
      const firsts = await takeDeliveries(
        tx,
        leaders.map(({ id, message }, place) => ({ id, message, times: times[place]! })),
      );
      const answers: Taken[] = [];
      const unpaid: (Unpaid & { place: number; first: FirstEvent | undefined })[] = [];
      for (const [place, item] of leaders.entries()) {
        const first = firsts.get(place);
        if (!first) unpaid.push({ ...item, decision: decisions[place]!, place, first });
        else if (first.state === "open" && !first.charged) {
          // What could not be charged then may be now: the same that an operator's replay does.
          const [decision] = await decide([first.message]);
          unpaid.push({ id: first.id, message: first.message, traceId: item.traceId, decision: decision!, place, first });
        } else answers[place] = repeat(first, item);
      }
      if (unpaid.length === 0) return answers;
      const { outcomes, committed } = await chargeMessages(tx, deps, unpaid);
      const rows = unpaid.flatMap((one, n) => {
        const outcome = outcomes[n]!;
        const { first, place } = one;
        if (first && outcome.kept.state === "open" && outcome.kept.charged_at === null) {
          answers[place] = repeat(first, leaders[place]!);
          return [];
        }
        answers[place] = { answer: outcome.answer, kind: "first", outcome };
        const item = leaders[place]!;
        const processing = first?.processingMs ?? Math.round(performance.now() - item.startMs);
        return [
          rowOf(one, outcome, {
            received_at: (first?.receivedAt ?? item.receivedAt).toISOString(),
            deliveries: times[place]!,
            processing_ms: processing,
          }),
        ];
      });
      if (rows.length > 0) await storeEvents(tx, rows);
      await reportIncidents(
        tx,
        unpaid.flatMap((one, n) => oddities(one, outcomes[n]!)),
      );
      after = committed;
      return answers;
    });
    after();
    return batch.map((item, n) => {
      const place = leaderOf[n]!;
      const leader = leaders[place]!;
      if (leader === item) return taken[place]!;
      return { answer: taken[place]!.answer, kind: saysTheSame(leader.message, item.message) ? "repeat" : "differs" };
    });
  }

  const repeat = (first: FirstEvent, item: Item): Taken => ({
    answer: { status: first.status, body: first.answer },
    kind: saysTheSame(first.message, item.message) ? "repeat" : "differs",
  });

  async function run(batch: readonly Item[], attempt = 1): Promise<(Taken | Error)[]> {
    try {
      return await runOnce(batch);
    } catch (error) {
      if (isWorthRepeating(error) && attempt < ATTEMPTS) return run(batch, attempt + 1);
      if (!isTheirFault(error) || batch.length === 1) return batch.map(() => error as Error);
      // One that cannot be stored must not take its batch along.
      log.warn({ err: error, deliveries: batch.length }, "a batch of dify events is taken one by one");
      const answers: (Taken | Error)[] = [];
      for (const item of batch) answers.push(...(await run([item])));
      return answers;
    }
  }

  const batcher = createBatcher<Item, Taken | Error>({
    run,
    maxBatch: MAX_BATCH,
    spacingMs: SPACING_MS,
    ...(deps.onBatch ? { onBatch: deps.onBatch } : {}),
  });

  async function retryBatch(ids: readonly string[]): Promise<{ tried: number; charged: number }> {
    let after = () => {};
    const result = await inTransaction(pool, async (tx) => {
      const open = await lockOpen(tx, ids);
      if (open.length === 0) return { tried: 0, charged: 0 };
      const decisions = await decide(open.map(({ message }) => message));
      const unpaid = open.map(({ id, message }, n) => ({ id, message, traceId: id, decision: decisions[n]! }));
      const { outcomes, committed } = await chargeMessages(tx, deps, unpaid);
      after = committed;
      const rows = unpaid.flatMap((one, n) => {
        const first = open[n]!;
        const { kept } = outcomes[n]!;
        // Still open for the same reason: it keeps the answer it had.
        if (kept.charged_at === null && kept.reason === first.reason) return [];
        return rowOf(one, outcomes[n]!, { received_at: first.receivedAt.toISOString(), deliveries: 1, processing_ms: first.processingMs });
      });
      if (rows.length > 0) await storeEvents(tx, rows);
      return { tried: open.length, charged: outcomes.filter(({ kept }) => kept.charged_at !== null).length };
    });
    after();
    return result;
  }

  /** One that cannot be charged at all is left open, and keeps no other from being charged. */
  async function retrySafely(ids: readonly string[], attempt = 1): Promise<{ tried: number; charged: number }> {
    try {
      return await retryBatch(ids);
    } catch (error) {
      if (isWorthRepeating(error) && attempt < ATTEMPTS) return retrySafely(ids, attempt + 1);
      if (!isTheirFault(error)) throw error;
      if (ids.length === 1) {
        log.error({ err: error, event: ids[0] }, "an open dify event cannot be charged");
        return { tried: 1, charged: 0 };
      }
      const total = { tried: 0, charged: 0 };
      for (const id of ids) {
        const { tried, charged } = await retrySafely([id]);
        total.tried += tried;
        total.charged += charged;
      }
      return total;
    }
  }

  return {
    async take(delivery) {
      const taken = await batcher.add({ ...delivery, id: uuidv7() });
      if (taken instanceof Error) throw taken;
      return taken;
    },
    async retry(ids) {
      const total = { tried: 0, charged: 0 };
      for (let from = 0; from < ids.length; from += MAX_BATCH) {
        const { tried, charged } = await retrySafely(ids.slice(from, from + MAX_BATCH));
        total.tried += tried;
        total.charged += charged;
      }
      return total;
    },
    idle: () => batcher.idle(),
  };
}
