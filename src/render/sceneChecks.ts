import type { Pool, Queryable } from "../platform/postgres.ts";
import { sha256 } from "../platform/secrets.ts";
import { SceneRefused, type RenderEngine, type Scene, type SceneReport, type SceneUse } from "./engines/engine.ts";

/** A look at a scene: whose it is, by which engine, for what. */
export interface SceneQuestion {
  ownerId: string;
  fileId: string;
  engine: string;
  settings: Readonly<Record<string, unknown>>;
  use: SceneUse;
}

/** What came of it; a refusal is an answer, not a failure. */
export type SceneAnswer = { kind: "report"; report: SceneReport } | { kind: "refused"; field: string; message: string };

/** Checks are forgotten after this long: engines learn. */
const KEPT_S = 7 * 86_400;

/** What an answer depends on beside file and engine. */
export const keyOf = ({ settings, use }: Pick<SceneQuestion, "settings" | "use">): string =>
  sha256(JSON.stringify([sorted(settings), use.width, use.height, use.samples, use.format, use.frameStart, use.frameEnd]));

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([name, inner]) => [name, sorted(inner)]);
}

/** The answer that is known; undefined when nobody has looked yet. */
export async function knownAnswer(db: Queryable, question: SceneQuestion): Promise<SceneAnswer | undefined> {
  const { rows } = await db.query<{ report: SceneReport | null; refusal: { field: string; message: string } | null }>(
    `SELECT report, refusal FROM render_scene_checks
     WHERE file_id = $1 AND engine = $2 AND key = $3 AND created_at > now() - make_interval(secs => $4)`,
    [question.fileId, question.engine, keyOf(question), KEPT_S],
  );
  const row = rows[0];
  if (row?.refusal) return { kind: "refused", ...row.refusal };
  return row?.report ? { kind: "report", report: row.report } : undefined;
}

/** Looks at a scene that is on this machine, and keeps the answer. Throws only what is not the scene's fault. */
export async function askEngine(
  pool: Pool,
  engine: RenderEngine,
  scene: Scene,
  question: SceneQuestion,
  signal: AbortSignal,
): Promise<SceneAnswer> {
  const answer = await look(engine, scene, question, signal);
  const { report, refusal } =
    answer.kind === "report"
      ? { report: answer.report, refusal: null }
      : { report: null, refusal: { field: answer.field, message: answer.message } };
  await pool.query(
    `INSERT INTO render_scene_checks (file_id, engine, key, report, refusal) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (file_id, engine, key) DO UPDATE SET report = excluded.report, refusal = excluded.refusal, created_at = now()`,
    [question.fileId, question.engine, keyOf(question), report && JSON.stringify(report), refusal && JSON.stringify(refusal)],
  );
  return answer;
}

/** Asks an engine. Throws only what is neither the scene's nor the settings' fault. */
export async function look(
  engine: RenderEngine,
  scene: Scene | undefined,
  { settings, use }: Pick<SceneQuestion, "settings" | "use">,
  signal: AbortSignal,
): Promise<SceneAnswer> {
  try {
    return { kind: "report", report: await engine.check(scene, settings, signal, use) };
  } catch (error) {
    if (error instanceof SceneRefused) return { kind: "refused", field: error.field, message: error.message };
    throw error;
  }
}

/** Forgets old checks. Returns how many. */
export async function forgetSceneChecks(pool: Pool): Promise<number> {
  const { rowCount } = await pool.query("DELETE FROM render_scene_checks WHERE created_at < now() - make_interval(secs => $1)", [KEPT_S]);
  return rowCount ?? 0;
}
