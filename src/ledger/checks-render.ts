import type { Check } from "./checks.ts";

/** What the ledger proves of render tasks: that what they say was charged is what was settled, and that nothing is held for nobody. */
export const RENDER_CHECKS: Check[] = [
  {
    name: "a finished frame was charged what it says",
    needs: "render_frames",
    sql: `SELECT 'frame ' || f.frame || ' of ' || f.task_id AS subject, f.cost AS expected, s.charged AS found
      FROM render_frames f JOIN render_tasks t ON t.id = f.task_id
      LEFT JOIN ledger_settlements s ON s.id = 'render:' || f.task_id || ':' || f.frame AND s.wallet_id = t.wallet_id
      WHERE f.status = 'completed' AND f.cost IS DISTINCT FROM s.charged`,
  },
  {
    name: "no frame was charged that is not finished",
    needs: "render_frames",
    sql: `SELECT s.id AS subject, 0 AS expected, s.charged AS found
      FROM ledger_settlements s JOIN render_tasks t ON s.id LIKE 'render:%' AND t.id::text = split_part(s.id, ':', 2)
      LEFT JOIN render_frames f ON f.task_id = t.id AND f.frame::text = split_part(s.id, ':', 3) AND f.status = 'completed'
      WHERE f.task_id IS NULL`,
  },
  {
    name: "a render task costs what its frames do",
    needs: "render_tasks",
    sql: `SELECT 'task ' || t.id AS subject, coalesce(f.total, 0) AS expected, t.cost AS found
      FROM render_tasks t LEFT JOIN (SELECT task_id, sum(cost) AS total FROM render_frames GROUP BY task_id) f ON f.task_id = t.id
      WHERE t.cost <> coalesce(f.total, 0)`,
  },
  {
    name: "an open hold of a render task is that of a task which goes on",
    plain: true,
    needs: "render_tasks",
    sql: `SELECT 'hold ' || h.id || ' of ' || h.owner AS subject, 'the hold of a task' AS expected, coalesce(t.state, 'no task') AS found
      FROM ledger_holds h LEFT JOIN render_tasks t ON t.id::text = substr(h.owner, 8) AND t.hold_id = h.id
      WHERE h.state = 'held' AND h.owner LIKE 'render:%' AND (t.id IS NULL OR t.ended_at IS NOT NULL)`,
  },
];
