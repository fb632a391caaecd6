import { created, ok, route, type Route } from "../http/route.ts";
import { formatCredits } from "../platform/credits.ts";
import type { Pool } from "../platform/postgres.ts";
import type { SecretBox } from "../platform/secrets.ts";
import type { TemporalLink } from "../platform/temporal.ts";
import { billOf } from "./bill.ts";
import { readCallback } from "./callbacks.ts";
import { listLogs } from "./logs.ts";
import { presentCallback, presentFrame, presentLog, presentParts, presentTask } from "./present.ts";
import { priceById } from "./prices/repository.ts";
import {
  billView,
  estimateView,
  framePage,
  frameQuery,
  logPage,
  logQuery,
  noBody,
  taskBody,
  taskDetail,
  taskPage,
  taskParams,
  taskQuery,
  taskView,
} from "./schema.ts";
import { listFrames, listTasks, type TaskRow } from "./task.ts";
import type { Tasks } from "./tasks.ts";

const COMMON = { tag: "Render tasks", access: "verified" } as const;

const ACTIONS = {
  pause: ["Pause a task", "No new frame begins; those under way are finished and charged. What is held stays held."],
  resume: ["Go on with a paused task", "402 `insufficient_balance` when the wallet does not cover the next frame."],
  cancel: ["Cancel a task", "Frames under way are given up, finished ones charged, what is held for the rest is released."],
} as const;

/** Somebody's render tasks. Other people's are not there. */
export function renderRoutes(deps: {
  pool: Pool;
  tasks: Tasks;
  secretBox: SecretBox;
  temporal: Pick<TemporalLink, "workflowUrl">;
}): Route[] {
  const { pool, tasks } = deps;

  async function view(task: TaskRow) {
    const held = await tasks.held([task]);
    return presentTask(task, held.get(task.id) ?? 0n, deps);
  }

  const change = (action: keyof typeof ACTIONS) =>
    route({
      ...COMMON,
      method: "post",
      path: `/api/tasks/:id/${action}`,
      summary: ACTIONS[action][0],
      description: `${ACTIONS[action][1]} A change that the state does not allow is 409 \`invalid_state\` and says why.`,
      params: taskParams,
      body: noBody,
      responses: { 200: taskView },
      errors: ["invalid_state", ...(action === "resume" ? (["insufficient_balance"] as const) : [])],
      handler: async ({ principal, params }) => ok(await view(await tasks.act(principal.userId, params.id, action))),
    });

  return [
    route({
      ...COMMON,
      method: "post",
      path: "/api/tasks",
      summary: "Make a render task",
      description: "What it is likely to cost is held first: 402 when the wallet does not cover it, and nothing is queued.",
      idempotent: true,
      body: taskBody,
      responses: { 201: taskView },
      errors: ["insufficient_balance", "balance_on_hold", "rate_limited"],
      handler: async ({ body, principal, idempotencyKey }) => created(await view(await tasks.create(principal, body, idempotencyKey))),
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/tasks/estimate",
      summary: "What a render task would cost",
      description: "Checks everything that making the task checks, and changes nothing.",
      body: taskBody,
      responses: { 200: estimateView },
      handler: async ({ body, principal }) => {
        const { task, report } = await tasks.estimate(principal, body);
        const price = await priceById(pool, task.price_id);
        return ok({
          estimated_cost: formatCredits(task.estimated_cost),
          per_frame: formatCredits(task.frame_estimate),
          seconds: task.frame_seconds * task.total_frames,
          frames: task.total_frames,
          price_version: price.version,
          parts: presentParts(price, { ...task, seconds: task.frame_seconds }),
          notes: report.notes,
        });
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/tasks",
      summary: "My render tasks, newest first",
      query: taskQuery,
      responses: { 200: taskPage },
      handler: async ({ principal, query: { page, page_size, status, state } }) => {
        const filter = { userId: principal.userId, state: status ?? state, limit: page_size, offset: (page - 1) * page_size };
        const { tasks: rows, total } = await listTasks(pool, filter);
        const held = await tasks.held(rows);
        return ok({ items: rows.map((task) => presentTask(task, held.get(task.id) ?? 0n, deps)), total, page, page_size });
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/tasks/:id",
      summary: "One of my render tasks",
      params: taskParams,
      responses: { 200: taskDetail },
      handler: async ({ principal, params }) => {
        const task = await tasks.get(principal.userId, params.id);
        const callback = task.callback_url && task.ended_at ? await readCallback(pool, task.id) : undefined;
        return ok({ ...(await view(task)), callback: callback ? presentCallback(callback) : null });
      },
    }),
    route({
      ...COMMON,
      method: "delete",
      path: "/api/tasks/:id",
      summary: "Forget a task that is over, with its frames and files",
      description: "What it was charged stays in the wallet's history.",
      params: taskParams,
      responses: { 200: undefined },
      errors: ["invalid_state"],
      handler: async ({ principal, params }) => {
        await tasks.remove(principal.userId, params.id);
        return ok(null, "Task deleted");
      },
    }),
    change("pause"),
    change("resume"),
    change("cancel"),
    route({
      ...COMMON,
      method: "get",
      path: "/api/tasks/:id/frames",
      summary: "Frames of a task that have begun, in their order",
      params: taskParams,
      query: frameQuery,
      responses: { 200: framePage },
      handler: async ({ principal, params, query: { page, page_size, status } }) => {
        const task = await tasks.get(principal.userId, params.id);
        const { frames, total } = await listFrames(pool, task.id, { status, limit: page_size, offset: (page - 1) * page_size });
        const price = await priceById(pool, task.price_id);
        return ok({ items: frames.map((frame) => presentFrame(frame, task, price)), total, page, page_size });
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/tasks/:id/logs",
      summary: "The log of a task, oldest first",
      params: taskParams,
      query: logQuery,
      responses: { 200: logPage },
      handler: async ({ principal, params, query: { page, page_size, after, level, frame } }) => {
        const task = await tasks.get(principal.userId, params.id);
        const { lines, total } = await listLogs(pool, task.id, { after, level, frame, limit: page_size, offset: (page - 1) * page_size });
        return ok({ items: lines.map(presentLog), total, page, page_size });
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/tasks/:id/bill",
      summary: "What a task was charged, and by which prices",
      params: taskParams,
      responses: { 200: billView },
      handler: async ({ principal, params }) => ok(await billOf(pool, await tasks.get(principal.userId, params.id))),
    }),
  ];
}
