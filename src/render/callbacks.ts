import type { Notify, WebhookJob, WebhookSender } from "../notify/index.ts";
import { formatCredits } from "../platform/credits.ts";
import { uuidv7 } from "../platform/ids.ts";
import type { Pool, Queryable } from "../platform/postgres.ts";
import type { SecretBox } from "../platform/secrets.ts";
import type { TaskRow } from "./task.ts";

/** Telling an owner's server that a task has ended: signed, tried again with growing pauses, the same id on every try. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Pauses between tries: eight tries over some ten hours. */
const PAUSES_MS: readonly number[] = [5_000, 30_000, 2 * MINUTE_MS, 10 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 6 * HOUR_MS];
/** A try that is so late has lost its job. */
const LATE_S = 30;
const AT_ONCE = 200;

interface DueRow {
  id: string;
  body: string;
  callback_url: string;
  callback_secret: string;
}

export interface CallbackRow {
  state: "pending" | "delivered" | "failed";
  attempts: number;
  last_status: number | null;
  last_error: string | null;
}

/** Queues the callback of a task that has just ended, in the transaction that ends it; its id, or undefined when it has none. */
export async function addCallback(tx: Queryable, task: TaskRow): Promise<string | undefined> {
  if (!task.callback_url) return undefined;
  const id = uuidv7();
  const body = JSON.stringify({
    id,
    type: "task.ended",
    time: task.ended_at?.toISOString(),
    data: {
      task_id: task.id,
      name: task.name,
      status: task.state,
      reason: task.reason,
      message: task.reason_message,
      total_frames: task.total_frames,
      done_frames: task.done_frames,
      cost: formatCredits(task.cost),
    },
  });
  const { rowCount } = await tx.query(
    "INSERT INTO render_callbacks (id, task_id, body) VALUES ($1, $2, $3) ON CONFLICT (task_id) DO NOTHING",
    [id, task.id, body],
  );
  return rowCount === 1 ? id : undefined;
}

export async function readCallback(db: Queryable, taskId: string): Promise<CallbackRow | undefined> {
  const { rows } = await db.query<CallbackRow>("SELECT state, attempts, last_status, last_error FROM render_callbacks WHERE task_id = $1", [
    taskId,
  ]);
  return rows[0];
}

export interface CallbackDelivery {
  /** Makes one try and writes how it ended; nothing for other deliveries, or a try that was made. */
  attempt(job: WebhookJob): Promise<void>;
  /** Asks again for tries whose job was lost. */
  sweep(): Promise<number>;
}

export function createCallbackDelivery(deps: {
  pool: Pool;
  secretBox: SecretBox;
  sender: WebhookSender;
  notify: Pick<Notify, "webhook">;
  pausesMs?: readonly number[];
}): CallbackDelivery {
  const { pool, secretBox, sender, notify, pausesMs = PAUSES_MS } = deps;
  return {
    async attempt({ deliveryId, attempt }) {
      const { rows } = await pool.query<DueRow>(
        `SELECT c.id, c.body, t.callback_url, t.callback_secret FROM render_callbacks c JOIN render_tasks t ON t.id = c.task_id
         WHERE c.id = $1 AND c.attempts = $2 AND c.state = 'pending'`,
        [deliveryId, attempt],
      );
      const due = rows[0];
      if (!due) return;
      const result = await sender.send({ id: due.id, url: due.callback_url, secret: secretBox.open(due.callback_secret), body: due.body });
      const pauseMs = result.ok ? undefined : pausesMs[attempt];
      const state = result.ok ? "delivered" : pauseMs === undefined ? "failed" : "pending";
      const { rowCount } = await pool.query(
        `UPDATE render_callbacks SET state = $3, attempts = attempts + 1, last_status = $4, last_error = $5,
           next_at = now() + make_interval(secs => $6::float8 / 1000), ended_at = CASE WHEN $3 = 'pending' THEN NULL ELSE now() END
         WHERE id = $1 AND attempts = $2 AND state = 'pending'`,
        [due.id, attempt, state, result.status, result.error, pauseMs ?? 0],
      );
      // When Redis is away now, the sweep asks for this try.
      if (rowCount === 1 && pauseMs !== undefined)
        await notify.webhook({ deliveryId, attempt: attempt + 1 }, pauseMs).catch(() => undefined);
    },
    async sweep() {
      const { rows } = await pool.query<{ id: string; attempts: number }>(
        `SELECT id, attempts FROM render_callbacks WHERE state = 'pending' AND next_at < now() - make_interval(secs => $1)
         ORDER BY next_at LIMIT $2`,
        [LATE_S, AT_ONCE],
      );
      for (const { id, attempts } of rows) await notify.webhook({ deliveryId: id, attempt: attempts });
      return rows.length;
    },
  };
}
