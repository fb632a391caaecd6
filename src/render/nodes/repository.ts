import type { Queryable } from "../../platform/postgres.ts";

/** A node that is silent for longer is lost: as long as its frames' heartbeat time-out. */
export const LOST_S = 10;
/** Rows of nodes that are gone are kept for a day; while an operator drains a node, for longer. */
const KEPT_S = 86_400;
const KEPT_DRAINING_S = 90 * 86_400;

export interface NodeFacts {
  name: string;
  /** The process; another one cannot take its name while it lives. */
  instance: string;
  release: string | null;
  engines: readonly string[];
  cores: number;
  memoryMb: number;
  slots: number;
  queues: readonly string[];
}

export interface NodeUse {
  frames: number;
  memoryUsedMb: number;
  load: number;
}

export const NODE_STATES = ["active", "draining", "drained", "stopped", "lost"] as const;
export type NodeState = (typeof NODE_STATES)[number];

export interface NodeRow {
  name: string;
  release: string | null;
  engines: string[];
  cores: number;
  memory_mb: number;
  slots: number;
  frames: number;
  memory_used_mb: number;
  load: number;
  draining: boolean;
  state: NodeState;
  started_at: Date;
  heartbeat_at: Date;
}

const STATE = `CASE WHEN stopped_at IS NOT NULL THEN 'stopped' WHEN heartbeat_at < now() - make_interval(secs => ${LOST_S}) THEN 'lost'
  WHEN NOT draining THEN 'active' WHEN frames > 0 THEN 'draining' ELSE 'drained' END`;
const COLUMNS = `name, release, engines, cores, memory_mb, slots, frames, memory_used_mb, load, draining, ${STATE} AS state, started_at, heartbeat_at`;
/** Nodes that take new frames. */
const TAKING = `stopped_at IS NULL AND NOT draining AND heartbeat_at > now() - make_interval(secs => ${LOST_S})`;

/** Says that a node is there and what it does. Undefined while another living process has its name. */
export async function announceNode(db: Queryable, node: NodeFacts, use: NodeUse): Promise<{ draining: boolean } | undefined> {
  const { rows } = await db.query<{ draining: boolean }>(
    `INSERT INTO render_nodes AS n (name, instance, release, engines, cores, memory_mb, slots, queues, frames, memory_used_mb, load)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (name) DO UPDATE SET instance = $2, release = $3, engines = $4, cores = $5, memory_mb = $6, slots = $7, queues = $8,
       frames = $9, memory_used_mb = $10, load = $11, heartbeat_at = now(), stopped_at = NULL,
       started_at = CASE WHEN n.instance = $2 THEN n.started_at ELSE now() END
       WHERE n.instance = $2 OR n.stopped_at IS NOT NULL OR n.heartbeat_at < now() - make_interval(secs => $12)
     RETURNING draining`,
    [
      node.name,
      node.instance,
      node.release,
      node.engines,
      node.cores,
      node.memoryMb,
      node.slots,
      node.queues,
      use.frames,
      use.memoryUsedMb,
      use.load,
      LOST_S,
    ],
  );
  return rows[0];
}

/** Says that a node takes nothing more. */
export async function noteStopped(db: Queryable, { name, instance }: NodeFacts): Promise<void> {
  await db.query("UPDATE render_nodes SET stopped_at = now(), frames = 0, memory_used_mb = 0 WHERE name = $1 AND instance = $2", [
    name,
    instance,
  ]);
}

/** Asks a node to take no new frames, or to take them again. Undefined for an unknown one; `changed` is false when it was so before. */
export async function setDraining(
  tx: Queryable,
  name: string,
  draining: boolean,
): Promise<{ node: NodeRow; changed: boolean } | undefined> {
  const { rows: before } = await tx.query<{ draining: boolean }>("SELECT draining FROM render_nodes WHERE name = $1 FOR UPDATE", [name]);
  if (!before[0]) return undefined;
  const { rows } = await tx.query<NodeRow>(`UPDATE render_nodes SET draining = $2 WHERE name = $1 RETURNING ${COLUMNS}`, [name, draining]);
  return { node: rows[0]!, changed: before[0].draining !== draining };
}

/** A page of nodes by name. */
export async function listNodes(
  db: Queryable,
  filter: { state: NodeState | undefined; limit: number; offset: number },
): Promise<{ nodes: NodeRow[]; total: number }> {
  const where = `WHERE $1::text IS NULL OR ${STATE} = $1`;
  const values = [filter.state ?? null];
  const count = await db.query<{ total: bigint }>(`SELECT count(*) AS total FROM render_nodes ${where}`, values);
  const { rows } = await db.query<NodeRow>(`SELECT ${COLUMNS} FROM render_nodes ${where} ORDER BY name LIMIT $2 OFFSET $3`, [
    ...values,
    filter.limit,
    filter.offset,
  ]);
  return { nodes: rows, total: Number(count.rows[0]!.total) };
}

/** True when some node takes from that queue now. */
export async function isServed(db: Queryable, queue: string): Promise<boolean> {
  const { rows } = await db.query(`SELECT FROM render_nodes WHERE $1 = ANY(queues) AND ${TAKING} LIMIT 1`, [queue]);
  return rows.length > 0;
}

/** For statements about tasks `t`: some node takes their frames now. */
export const SERVED = `EXISTS (SELECT FROM render_nodes WHERE t.queue = ANY(queues) AND ${TAKING})`;

/** How many nodes there are in each state, and what those that live have. */
export async function countNodes(db: Queryable): Promise<{ state: NodeState; nodes: number; slots: number; frames: number }[]> {
  const { rows } = await db.query<{ state: NodeState; nodes: number; slots: number; frames: number }>(
    `SELECT ${STATE} AS state, count(*)::integer AS nodes, sum(slots)::integer AS slots, sum(frames)::integer AS frames
     FROM render_nodes GROUP BY 1`,
  );
  return rows;
}

/** Forgets nodes that are gone. Returns how many. */
export async function forgetNodes(db: Queryable): Promise<number> {
  const { rowCount } = await db.query(
    "DELETE FROM render_nodes WHERE heartbeat_at < now() - make_interval(secs => CASE WHEN draining THEN $2::float8 ELSE $1::float8 END)",
    [KEPT_S, KEPT_DRAINING_S],
  );
  return rowCount ?? 0;
}
