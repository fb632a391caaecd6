import { recordAudit } from "../../admin/audit.ts";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import { ignoredAnswer, type DifyAnswer } from "./answers.ts";
import type { Operator } from "./inbox.ts";
import type { Intake } from "./intake.ts";
import { parseDelivery } from "./message.ts";
import { REPLAYABLE } from "./refusals.ts";

/** Which refused deliveries are meant. */
export interface ReplayFilter {
  reason?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

/** Taking what was rightly signed and refused all the same: held up on its way, or met by a fault of ours. */
export interface Replays {
  /**
   * Takes one refused delivery as if it came now, by everything but its signature's time. A message that was charged is not charged again.
   * Audited. Throws `not_found`, `invalid_state` for what was not rightly signed or not kept whole, `validation_failed` for what it says.
   */
  one(operator: Operator, id: string): Promise<DifyAnswer>;
  /** Takes all that were not taken yet, oldest first, at most {@link MOST}. `refused`: they say something wrong, or are too old. Audited. */
  all(operator: Operator, filter: ReplayFilter): Promise<{ tried: number; charged: number; open: number; refused: number }>;
}

interface Kept {
  id: string;
  body: Buffer;
}

const MOST = 1_000;
const AT_ONCE = 100;

/** Only what was authentic when it came, and is there to its last byte, can be taken; the body never changes (see the migration). */
const CAN_BE_TAKEN = "authenticated AND source IS NULL AND reason = ANY ($1::text[]) AND octet_length(body) = body_bytes";

/** Creates the replaying of refused deliveries. */
export function createReplays(deps: { pool: Pool; intake: Pick<Intake, "take">; clock?: () => number }): Replays {
  const { pool, intake, clock = Date.now } = deps;

  /** Undefined for what nobody can take. */
  async function take({ id, body }: Kept, operator: Operator): Promise<DifyAnswer | { refused: string }> {
    const parsed = parseDelivery(body, clock());
    if (parsed.kind === "invalid") return { refused: parsed.message };
    const { traceId } = operator;
    const answer =
      parsed.kind === "other"
        ? ignoredAnswer(parsed.event)
        : (await intake.take({ message: parsed.message, traceId, receivedAt: new Date(clock()), startMs: performance.now() })).answer;
    await pool.query(
      "UPDATE dify_refusals SET replayed_at = now(), replayed_by = $2, replay_status = $3, replay_answer = $4 WHERE id = $1 AND authenticated",
      [id, operator.userId, answer.status, answer.body],
    );
    return answer;
  }

  return {
    async one(operator, id) {
      const { rows } = await pool.query<Kept & { possible: boolean; reason: string }>(
        `SELECT id::text, body, reason, ${CAN_BE_TAKEN} AS possible FROM dify_refusals WHERE id = $2`,
        [REPLAYABLE, id],
      );
      const kept = rows[0];
      if (!kept) throw appError("not_found", { message: "There is no such refusal" });
      if (!kept.possible)
        throw appError("invalid_state", { message: "Only what was rightly signed and refused for its time can be replayed" });
      const answer = await take(kept, operator);
      if ("refused" in answer) throw appError("validation_failed", { message: answer.refused });
      await recordAudit(pool, {
        actorId: operator.userId,
        action: "dify.replay_refusal",
        target: `dify_refusal:${id}`,
        details: { reason: kept.reason, status: answer.status },
        traceId: operator.traceId,
      });
      return answer;
    },

    async all(operator, filter) {
      const { rows } = await pool.query<Kept>(
        `SELECT id::text, body FROM dify_refusals WHERE ${CAN_BE_TAKEN} AND replayed_at IS NULL AND ($2::text IS NULL OR reason = $2)
           AND ($3::timestamptz IS NULL OR first_at >= $3) AND ($4::timestamptz IS NULL OR first_at < $4) ORDER BY dify_refusals.id LIMIT $5`,
        [REPLAYABLE, filter.reason ?? null, filter.from ?? null, filter.to ?? null, MOST],
      );
      const result = { tried: rows.length, charged: 0, open: 0, refused: 0 };
      for (let from = 0; from < rows.length; from += AT_ONCE) {
        for (const answer of await Promise.all(rows.slice(from, from + AT_ONCE).map((kept) => take(kept, operator)))) {
          if ("refused" in answer) result.refused += 1;
          else if (answer.status === 200) result.charged += 1;
          else result.open += 1;
        }
      }
      await recordAudit(pool, {
        actorId: operator.userId,
        action: "dify.replay_refusals",
        target: `dify_refusals:${filter.reason ?? "all"}`,
        details: { ...filter, ...result },
        traceId: operator.traceId,
      });
      return result;
    },
  };
}
