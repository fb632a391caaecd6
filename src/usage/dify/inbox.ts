import { recordAudit } from "../../admin/audit.ts";
import type { Ledger, Shortfall } from "../../ledger/index.ts";
import { formatCredits } from "../../platform/credits.ts";
import { appError } from "../../platform/errors.ts";
import { inTransaction, type Pool } from "../../platform/postgres.ts";
import { consumptionId } from "./answers.ts";
import { openEvents, type KeptReason, type ReportedRow } from "./repository.ts";
import type { Retry } from "./retry.ts";

/** Which kept events are meant. */
export interface InboxFilter {
  state?: "open" | "charged" | "dismissed" | undefined;
  reason?: KeptReason | undefined;
  /** Dify's `user_id`. */
  external_user?: string | undefined;
  user?: string | undefined;
  model?: string | undefined;
  message_id?: string | undefined;
  request_id?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
}

interface EventRow extends ReportedRow {
  deliveries: number;
  last_delivery_at: Date;
  state: "open" | "charged" | "dismissed";
  reason: KeptReason | null;
  user_id: string | null;
  model: string | null;
  price_version_id: bigint | null;
  event_id: string | null;
  relayed: boolean;
  cost: bigint | null;
  owed: bigint | null;
  balance_after: bigint | null;
  charged_at: Date | null;
  processing_ms: number;
  status: number;
  answer: string;
  resolved_at: Date | null;
  resolved_by: string | null;
  note: string | null;
}

const orNull = (micro: bigint | null) => (micro === null ? null : formatCredits(micro));

function view(row: EventRow, shortfall: Shortfall | undefined) {
  return {
    id: row.id,
    consumption_id: row.event_id === null ? null : consumptionId(row.event_id),
    state: row.state,
    reason: row.reason,
    message_id: row.message_id,
    request_id: row.request_id,
    conversation_id: row.conversation_id,
    external_user: row.external_user,
    user_id: row.user_id,
    model_name: row.model_name,
    model: row.model,
    input_tokens: Number(row.input_tokens),
    output_tokens: Number(row.output_tokens),
    total_tokens: Number(row.total_tokens),
    totals_agree: row.total_tokens === row.input_tokens + row.output_tokens,
    timestamp: row.happened_at.toISOString(),
    received_at: row.received_at.toISOString(),
    deliveries: row.deliveries,
    last_delivery_at: row.last_delivery_at.toISOString(),
    relayed: row.relayed,
    usage_event_id: row.event_id,
    price_version_id: row.price_version_id?.toString() ?? null,
    points: orNull(row.cost),
    points_deducted: row.cost === null ? null : formatCredits(row.cost - (row.owed ?? 0n)),
    shortfall: orNull(row.owed),
    shortfall_open: shortfall ? formatCredits(shortfall.amount - shortfall.collected) : orNull(row.owed === null ? null : 0n),
    balance_after: orNull(row.balance_after),
    charged_at: row.charged_at?.toISOString() ?? null,
    processing_ms: row.processing_ms,
    status: row.status,
    answer: JSON.parse(row.answer) as unknown,
    resolved_at: row.resolved_at?.toISOString() ?? null,
    resolved_by: row.resolved_by,
    note: row.note,
  };
}
export type EventView = ReturnType<typeof view>;

export interface Operator {
  userId: string;
  traceId: string;
}

/** What the webhook kept, and what operators do about that which is open. */
export interface Inbox {
  /** Newest first. */
  list(filter: InboxFilter, page: { page: number; page_size: number }): Promise<{ items: EventView[]; total: number }>;
  /** Throws `not_found`. */
  get(id: string): Promise<EventView>;
  /** Closes an open event for good: one that nobody was charged for is not charged. Audited. Throws `not_found`, `invalid_state`. */
  resolve(operator: Operator, id: string, note: string): Promise<EventView>;
  /** Tries again to charge one open event, by its parts where its total is not their sum. Audited. Throws `not_found`, `invalid_state`. */
  replay(operator: Operator, id: string): Promise<EventView>;
  /** Tries again to charge all open events of a reason, at most {@link MOST_REPLAYED}. Audited. */
  replayAll(
    operator: Operator,
    filter: { reason?: KeptReason | undefined; user?: string | undefined; model?: string | undefined },
  ): Promise<{
    tried: number;
    charged: number;
  }>;
  /** Closes open events whose shortfall has been paid since. Safe at any time and twice. */
  closePaid(): Promise<number>;
}

const MOST_REPLAYED = 10_000;
const PAGE = 1_000;

/** Creates the inbox. */
export function createInbox(deps: { pool: Pool; ledger: Pick<Ledger, "shortfalls">; retry: Retry }): Inbox {
  const { pool, ledger, retry } = deps;

  async function shown(rows: readonly EventRow[]): Promise<EventView[]> {
    const owing = rows.flatMap(({ owed, event_id: id }) => (id !== null && owed !== null && owed > 0n ? [id] : []));
    const shortfalls = new Map((await ledger.shortfalls(owing)).map((one) => [one.id, one]));
    return rows.map((row) => view(row, row.event_id === null ? undefined : shortfalls.get(row.event_id)));
  }

  async function find(id: string): Promise<EventRow> {
    const { rows } = await pool.query<EventRow>("SELECT * FROM dify_events WHERE id = $1 OR (event_id = $1 AND relayed)", [id]);
    if (!rows[0]) throw appError("not_found", { message: "There is no such event" });
    return rows[0];
  }

  async function get(id: string): Promise<EventView> {
    return (await shown([await find(id)]))[0]!;
  }

  /** What is owed is the usage event's, the webhook's own or the relay's. */
  async function closeIfPaid(eventIds: readonly string[]): Promise<number> {
    const paid = (await ledger.shortfalls(eventIds)).filter(({ amount, collected }) => amount === collected).map(({ id }) => id);
    if (paid.length === 0) return 0;
    const { rowCount } = await pool.query(
      // In the order in which whoever tries again locks them.
      `UPDATE dify_events SET state = 'charged', resolved_at = now() WHERE id IN (
         SELECT id FROM dify_events WHERE event_id = ANY ($1::uuid[]) AND state = 'open' AND reason = 'insufficient_balance' ORDER BY id FOR UPDATE)`,
      [paid],
    );
    return rowCount ?? 0;
  }

  return {
    get,

    async list(filter, { page, page_size }) {
      const conditions: [string, unknown][] = [
        ["state =", filter.state],
        ["reason =", filter.reason],
        ["external_user =", filter.external_user],
        ["user_id =", filter.user],
        ["lower(model_name) =", filter.model?.toLowerCase()],
        ["message_id =", filter.message_id],
        ["request_id =", filter.request_id],
        ["received_at >=", filter.from],
        ["received_at <", filter.to],
      ];
      const used = conditions.filter(([, value]) => value !== undefined);
      const where = used.length === 0 ? "" : `WHERE ${used.map(([condition], n) => `${condition} $${n + 1}`).join(" AND ")}`;
      const values = used.map(([, value]) => value);
      const [count, rows] = await Promise.all([
        pool.query<{ total: bigint }>(`SELECT count(*) AS total FROM dify_events ${where}`, values),
        pool.query<EventRow>(
          `SELECT * FROM dify_events ${where} ORDER BY id DESC LIMIT $${values.length + 1} OFFSET $${values.length + 2}`,
          [...values, page_size, (page - 1) * page_size],
        ),
      ]);
      return { items: await shown(rows.rows), total: Number(count.rows[0]!.total) };
    },

    async resolve(operator, id, note) {
      const { id: eventId } = await find(id);
      await inTransaction(pool, async (tx) => {
        const { rows } = await tx.query<{ reason: string }>(
          `UPDATE dify_events SET state = CASE WHEN charged_at IS NULL THEN 'dismissed' ELSE 'charged' END, resolved_at = now(), resolved_by = $2, note = $3
           WHERE id = $1 AND state = 'open' RETURNING reason`,
          [eventId, operator.userId, note],
        );
        if (!rows[0]) throw appError("invalid_state", { message: "This event is not open" });
        await recordAudit(tx, {
          actorId: operator.userId,
          action: "dify.resolve_event",
          target: `dify_event:${eventId}`,
          details: { reason: rows[0].reason, note },
          traceId: operator.traceId,
        });
      });
      return get(eventId);
    },

    async replay(operator, id) {
      const event = await find(id);
      if (event.state !== "open") throw appError("invalid_state", { message: "This event is not open" });
      if (event.charged_at === null) await retry([event.id], { byParts: true });
      else await closeIfPaid([event.event_id!]);
      const after = await get(event.id);
      await recordAudit(pool, {
        actorId: operator.userId,
        action: "dify.replay_event",
        target: `dify_event:${event.id}`,
        details: { reason: event.reason, state: after.state, points: after.points },
        traceId: operator.traceId,
      });
      return after;
    },

    async replayAll(operator, filter) {
      const ids = await openEvents(pool, { ...filter, limit: MOST_REPLAYED });
      // Only those that were meant: whoever replays all that waits for a user has not looked at their totals.
      const result = await retry(ids, filter.reason === "totals_disagree" ? { byParts: true } : undefined);
      await recordAudit(pool, {
        actorId: operator.userId,
        action: "dify.replay_events",
        target: `dify_events:${filter.reason ?? "all"}`,
        details: { ...filter, ...result },
        traceId: operator.traceId,
      });
      return result;
    },

    async closePaid() {
      let closed = 0;
      for (let after: string | null = null; ;) {
        const { rows }: { rows: { id: string; event_id: string }[] } = await pool.query<{ id: string; event_id: string }>(
          `SELECT id, event_id FROM dify_events WHERE state = 'open' AND reason = 'insufficient_balance' AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2`,
          [after, PAGE],
        );
        closed += await closeIfPaid(rows.map(({ event_id: id }) => id));
        if (rows.length < PAGE) return closed;
        after = rows.at(-1)!.id;
      }
    },
  };
}
