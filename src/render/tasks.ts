import { formatCredits } from "../platform/credits.ts";
import { appError } from "../platform/errors.ts";
import { randomText, uuidv7 } from "../platform/ids.ts";
import { inTransaction, uniqueViolation } from "../platform/postgres.ts";
import { applyAction } from "./changes.ts";
import { callbackUrl } from "./callbackUrl.ts";
import { HOLD_TTL_MS, holdOwner, type TaskDeps } from "./deps.ts";
import { waitingReason } from "./nodes/waiting.ts";
import { plan, type TaskPlan, type TaskRequest } from "./plan.ts";
import { decide } from "./states.ts";
import { countOpen, findByRequestKey, findTask, insertTask, lockTask, type NewTask, type TaskRow } from "./task.ts";

/** Who asks. */
export interface Owner {
  userId: string;
  walletId: bigint;
}

/** Render tasks of people. */
export interface Tasks {
  /**
   * Holds the estimate, makes the task and starts its work. Throws `validation_failed` with the field, `insufficient_balance`,
   * `balance_on_hold`, `rate_limited` when too many tasks are open, `unavailable`; then nothing is left behind.
   */
  create(owner: Owner, request: TaskRequest, requestKey: string | undefined): Promise<TaskRow>;
  estimate(owner: Owner, request: TaskRequest): Promise<TaskPlan>;
  /** Throws `not_found`, also for somebody else's task. */
  get(userId: string, id: string): Promise<TaskRow>;
  /** Throws `not_found`, `invalid_state` with the reason, on `resume` also `insufficient_balance`. */
  act(userId: string, id: string, action: "pause" | "resume" | "cancel"): Promise<TaskRow>;
  /** Forgets a task that is over, with its frames, logs and files. */
  remove(userId: string, id: string): Promise<void>;
  /** What is held for a task now, in micro-credits. */
  held(tasks: readonly TaskRow[]): Promise<ReadonlyMap<string, bigint>>;
  /** Starts the work of tasks whose start was lost. For the regular housekeeping; any number may run at once. */
  startLost(): Promise<number>;
}

/** A task that is pending for longer has lost its start. */
const LOST_AFTER_S = 20;
const LOST_AT_ONCE = 100;

export function createTasks(deps: TaskDeps): Tasks {
  const { pool, log, ledger, workflows, files, secretBox } = deps;

  async function mine(userId: string, id: string): Promise<TaskRow> {
    const task = await findTask(pool, userId, id);
    if (!task) throw appError("not_found", { message: "There is no such task" });
    return task;
  }

  /** Task and hold come into being together. One task of a person at a time, so that many at once cannot pass the limit together. */
  async function insert(task: NewTask, most: number): Promise<TaskRow> {
    const budgets = await deps.budgetsOf(task.user_id);
    return inTransaction(pool, async (tx) => {
      await tx.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`render ${task.user_id}`]);
      if ((await countOpen(tx, task.user_id)) >= most) {
        throw appError("rate_limited", { message: `You may have ${most} tasks at once: wait for one to end or cancel it`, retryAfter: 30 });
      }
      const made = await insertTask(tx, task);
      const held = await ledger.reserve(tx, {
        id: made.hold_id!,
        walletId: made.wallet_id,
        amount: made.estimated_cost,
        owner: holdOwner(made.id),
        budgets,
        ttlMs: HOLD_TTL_MS,
      });
      if (held.kind === "refused") throw appError(held.reason, { details: { shortfall: formatCredits(held.shortfall) } });
      return made;
    });
  }

  /** Starts the work; a start that fails takes the task back, unless it has begun all the same. */
  async function start(task: TaskRow): Promise<TaskRow> {
    try {
      await workflows.start(task);
    } catch (error) {
      const begun = await takeBack(task.id);
      if (begun) return begun;
      log.warn({ task: task.id, err: error }, "a render task was taken back because its workflow could not be started");
      throw error;
    }
    return inTransaction(pool, async (tx) => {
      const locked = await lockTask(tx, task.id);
      if (!locked) return task;
      const changed = await applyAction(tx, deps, locked, "queue", await waitingReason(tx, locked));
      return changed.outcome.kind === "refused" ? locked : (changed as { task: TaskRow }).task;
    });
  }

  function takeBack(id: string): Promise<TaskRow | undefined> {
    return inTransaction(pool, async (tx) => {
      const task = await lockTask(tx, id);
      if (!task || task.state !== "pending") return task;
      await ledger.releaseWithin(tx, task.hold_id!);
      await tx.query("DELETE FROM render_tasks WHERE id = $1", [id]);
      return undefined;
    });
  }

  /** The task that the same request made before, with its work started if that was lost. */
  async function before(userId: string, key: string, request: TaskRequest): Promise<TaskRow | undefined> {
    const task = await findByRequestKey(pool, userId, key);
    if (!task) return undefined;
    if (task.name !== request.name || task.engine !== request.engine || task.frame_end !== request.frame_end) {
      throw appError("idempotency_mismatch");
    }
    return task.state === "pending" ? start(task) : task;
  }

  return {
    async create(owner, request, requestKey) {
      const known = requestKey && (await before(owner.userId, requestKey, request));
      if (known) return known;
      const planned = await plan(deps, owner, request);
      const url = request.callback_url && (await callbackUrl(request.callback_url, deps.allowPrivate));
      const task: NewTask = {
        ...planned.task,
        id: uuidv7(),
        user_id: owner.userId,
        wallet_id: owner.walletId,
        request_key: requestKey ?? null,
        hold_id: uuidv7(),
        callback_url: url ?? null,
        callback_secret: url ? secretBox.seal(`whsec_${randomText(32)}`) : null,
      };
      try {
        return await start(await insert(task, planned.limits.tasks));
      } catch (error) {
        const first = requestKey && uniqueViolation(error) === "render_tasks_request" && (await before(owner.userId, requestKey, request));
        if (first) return first;
        throw error;
      }
    },

    estimate: (owner, request) => plan(deps, owner, request),
    get: mine,

    async act(userId, id, action) {
      const task = await mine(userId, id);
      const outcome = decide(task.state, action);
      // The workflow and, in the end, the row decide again: this only spares them what is plain.
      if (outcome.kind === "refused") throw appError("invalid_state", { message: outcome.why, details: { status: task.state } });
      if (!(await workflows.ask(id, action))) {
        // Its workflow was lost, with Temporal's database or by an operator's hand: a new one goes on from what is recorded.
        await workflows.start(task);
        if (!(await workflows.ask(id, action))) throw appError("unavailable", { message: "Nobody works on this task now", retryAfter: 5 });
      }
      return mine(userId, id);
    },

    async remove(userId, id) {
      const task = await mine(userId, id);
      const outcome = decide(task.state, "remove");
      if (outcome.kind === "refused") throw appError("invalid_state", { message: outcome.why, details: { status: task.state } });
      // Files first: what is left after a crash in between is removed by asking again.
      await files.removeOfTask(id);
      await pool.query("DELETE FROM render_tasks WHERE id = $1 AND ended_at IS NOT NULL", [id]);
    },

    async held(tasks) {
      const ids = tasks.flatMap(({ hold_id }) => hold_id ?? []);
      const amounts = ids.length === 0 ? new Map<string, bigint>() : await ledger.heldFor(ids);
      return new Map(tasks.map(({ id, hold_id }) => [id, (hold_id && amounts.get(hold_id)) || 0n]));
    },

    async startLost() {
      const { rows } = await pool.query<{ id: string; user_id: string }>(
        `SELECT id, user_id FROM render_tasks WHERE state = 'pending' AND created_at < now() - make_interval(secs => $1)
         ORDER BY created_at LIMIT $2`,
        [LOST_AFTER_S, LOST_AT_ONCE],
      );
      for (const { id, user_id } of rows) {
        const task = await findTask(pool, user_id, id);
        if (task?.state !== "pending") continue;
        await workflows.start(task);
        log.warn({ task: id }, "a render task whose start was lost has been started");
      }
      return rows.length;
    },
  };
}
