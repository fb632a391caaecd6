import { z } from "zod";
import { recordAudit } from "../../admin/audit.ts";
import { ok, route, type Route } from "../../http/route.ts";
import { isoTime, pageOf, pageQuery, reason } from "../../http/schemas.ts";
import { appError } from "../../platform/errors.ts";
import { inTransaction, type Pool } from "../../platform/postgres.ts";
import { listNodes, NODE_STATES, setDraining, type NodeRow } from "./repository.ts";

const nodeParams = z.strictObject({ name: z.string().min(1).max(100) });
const changeBody = z.strictObject({ reason: reason.optional() }).optional();

const nodeView = z
  .object({
    name: z.string(),
    state: z.enum(NODE_STATES).meta({ description: "`drained`: an operator wants no new frames there, and the last one has ended" }),
    release: z.string().nullable(),
    engines: z.array(z.string()),
    cores: z.number().int(),
    memory_mb: z.number().int(),
    memory_used_mb: z.number().int().meta({ description: "What the frames under way may use" }),
    slots: z.number().int(),
    free_slots: z.number().int(),
    frames: z.number().int().meta({ description: "Frames, or groups of quick ones, that are under way" }),
    load: z.number().meta({ description: "Load of the machine over one minute, for each core" }),
    started_at: isoTime,
    heartbeat_at: isoTime,
  })
  .meta({ id: "RenderNode" });

const present = (node: NodeRow) => ({
  name: node.name,
  state: node.state,
  release: node.release,
  engines: node.engines,
  cores: node.cores,
  memory_mb: node.memory_mb,
  memory_used_mb: node.memory_used_mb,
  slots: node.slots,
  free_slots: node.state === "active" ? Math.max(0, node.slots - node.frames) : 0,
  frames: node.frames,
  load: Math.round(node.load * 100) / 100,
  started_at: node.started_at.toISOString(),
  heartbeat_at: node.heartbeat_at.toISOString(),
});

const CHANGES = {
  drain: [
    "Take a render node out of work",
    "It takes no new frames from two seconds on; those under way run to their end: then it is `drained`.",
  ],
  resume: ["Let a drained render node take frames again", "Also one that is still draining."],
} as const;

/** Render nodes, for operators. */
export function renderNodeRoutes({ pool }: { pool: Pool }): Route[] {
  const change = (action: keyof typeof CHANGES) =>
    route({
      method: "post",
      path: `/api/admin/render/nodes/:name/${action}`,
      summary: CHANGES[action][0],
      description: CHANGES[action][1],
      tag: "Operators: render nodes",
      access: "operator",
      params: nodeParams,
      body: changeBody,
      responses: { 200: nodeView },
      handler: async ({ params: { name }, body, principal, traceId }) => {
        const node = await inTransaction(pool, async (tx) => {
          const set = await setDraining(tx, name, action === "drain");
          if (!set) throw appError("not_found", { message: "There is no such render node" });
          if (set.changed) {
            await recordAudit(tx, {
              actorId: principal.userId,
              action: `render_node.${action}`,
              target: `render_node:${name}`,
              details: { reason: body?.reason ?? null },
              traceId,
            });
          }
          return set.node;
        });
        return ok(present(node));
      },
    });
  return [
    route({
      method: "get",
      path: "/api/admin/render/nodes",
      summary: "Render nodes with what they have and do, by name",
      tag: "Operators: render nodes",
      access: "operator",
      query: z.strictObject({ ...pageQuery, state: z.enum(NODE_STATES).optional() }),
      responses: { 200: pageOf(nodeView) },
      handler: async ({ query: { page, page_size, state } }) => {
        const { nodes, total } = await listNodes(pool, { state, limit: page_size, offset: (page - 1) * page_size });
        return ok({ items: nodes.map(present), total, page, page_size });
      },
    }),
    change("drain"),
    change("resume"),
  ];
}
