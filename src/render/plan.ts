import { appError, fieldError } from "../platform/errors.ts";
import type { Owner } from "./tasks.ts";
import type { TaskDeps } from "./deps.ts";
import { SceneRefused, type RenderEngine, type SceneReport } from "./engines/engine.ts";
import { estimate, likelySeconds } from "./estimate.ts";
import { mayUse, type RenderLimits } from "./limits.ts";
import type { Priority } from "./prices/price.ts";
import { memoryFor, MOST_MEMORY_MB, queueFor } from "./nodes/queues.ts";
import { isServed } from "./nodes/repository.ts";
import { currentPrice } from "./prices/repository.ts";
import { knownAnswer, look, type SceneAnswer, type SceneQuestion } from "./sceneChecks.ts";
import { splitSettings } from "./video/index.ts";
import { countFrames, type NewTask } from "./task.ts";

/** What somebody asks for, already checked by the schema. */
export interface TaskRequest {
  name: string;
  engine: string;
  scene_file_id?: string | undefined;
  settings?: Record<string, unknown> | undefined;
  frame_start: number;
  frame_end: number;
  frame_step: number;
  width: number;
  height: number;
  samples: number;
  output_format?: string | undefined;
  priority: Priority;
  memory_mb?: number | undefined;
  callback_url?: string | undefined;
}

/** A request with everything that follows from it, before anything is written. */
export interface TaskPlan {
  limits: RenderLimits;
  report: SceneReport;
  task: Omit<NewTask, "id" | "user_id" | "wallet_id" | "request_key" | "hold_id" | "callback_url" | "callback_secret">;
}

const MOST_HELD = 10n ** 18n;
/** How long settings may be looked at. */
const CHECK_MS = 20_000;

/** Checks a request against engine, membership and scene, and works out what it is likely to cost. Every problem names its field. */
export async function plan(deps: TaskDeps, owner: Owner, request: TaskRequest): Promise<TaskPlan> {
  const engine = deps.engines.get(request.engine);
  if (!engine) throw fieldError("engine", `must be one of ${[...deps.engines.keys()].join(", ")}`);
  const format = request.output_format ?? engine.formats[0]!;
  if (!engine.formats.includes(format)) throw fieldError("output_format", `must be one of ${engine.formats.join(", ")}`);
  if (request.frame_end < request.frame_start) throw fieldError("frame_end", "must not be before frame_start");
  const limits = await deps.limitsOf(owner.userId);
  const frames = countFrames(request);
  if (frames > limits.frames) throw fieldError("frame_end", `a task may have ${limits.frames} frames, this one has ${frames}`);
  if (request.width * request.height > limits.pixels) throw fieldError("width", `a frame may have ${limits.pixels} pixels`);
  if (!mayUse(limits, request.priority)) throw fieldError("priority", `may be ${limits.priority} at most`);
  if (!deps.stores) throw appError("unavailable", { message: "There is no storage for what is rendered" });
  const price = await currentPrice(deps.pool, engine.name);
  if (!price) throw appError("unavailable", { message: `The engine ${engine.name} has no price`, retryAfter: 60 });

  const report = await checked(deps, owner, engine, request, format);
  const memoryMb = memoryFor(engine, report.memoryMb, request.memory_mb);
  if (memoryMb > MOST_MEMORY_MB) throw fieldError("scene_file_id", `needs ${memoryMb} MiB for a frame, which no render node has`);
  const { width, height, samples, priority } = request;
  const work = { engine: engine.name, width, height, samples, priority, frames };
  const likely = estimate(price, work, await likelySeconds(deps.pool, work, report));
  // No wallet has as much, and the ledger counts no further.
  if (likely.total > MOST_HELD) throw appError("insufficient_balance");
  return {
    limits,
    report,
    task: {
      name: request.name,
      engine: engine.name,
      scene_file_id: request.scene_file_id ?? null,
      settings: request.settings ?? {},
      frame_start: request.frame_start,
      frame_end: request.frame_end,
      frame_step: request.frame_step,
      width,
      height,
      samples,
      output_format: format,
      priority,
      parallel: limits.parallel,
      memory_mb: memoryMb,
      queue: queueFor(deps.renderQueue, engine.name, memoryMb),
      price_id: price.id,
      frame_seconds: likely.frameSeconds,
      frame_estimate: likely.perFrame,
      estimated_cost: likely.total,
      total_frames: frames,
    },
  };
}

/** Lets the engine look at scene and settings: before any money is held. */
async function checked(deps: TaskDeps, owner: Owner, engine: RenderEngine, request: TaskRequest, format: string): Promise<SceneReport> {
  const { scene_file_id: fileId, frame_start: frameStart, frame_end: frameEnd, width, height, samples } = request;
  if (!engine.needsScene && fileId) throw fieldError("scene_file_id", `${engine.name} takes no scene file`);
  if (engine.needsScene && !fileId) throw fieldError("scene_file_id", `${engine.name} needs a scene file`);
  if (fileId && !(await deps.files.read(owner.userId, fileId))) throw fieldError("scene_file_id", "there is no such file");
  const use = { width, height, samples, format, frameStart, frameEnd };
  const { own: settings } = split(request.settings ?? {});
  const answer = fileId
    ? await lookAt(deps, engine, { ownerId: owner.userId, fileId, engine: engine.name, settings, use })
    : await look(engine, undefined, { settings, use }, AbortSignal.timeout(CHECK_MS));
  if (answer.kind === "refused") throw fieldError(answer.field, answer.message);
  return answer.report;
}

/** What of the settings is the engine's, when the rest of them is right. */
function split(settings: Readonly<Record<string, unknown>>) {
  try {
    return splitSettings(settings);
  } catch (error) {
    if (error instanceof SceneRefused) throw fieldError(error.field, error.message);
    throw error;
  }
}

/** A render node looks, for scenes are large and not to be trusted; what is known already is not asked again. */
async function lookAt(deps: TaskDeps, engine: RenderEngine, question: SceneQuestion): Promise<SceneAnswer> {
  const known = await knownAnswer(deps.pool, question);
  if (known) return known;
  const queue = queueFor(deps.renderQueue, engine.name, memoryFor(engine));
  if (await isServed(deps.pool, queue)) return deps.workflows.checkScene(question, queue);
  throw appError("unavailable", { message: `No render node has ${engine.name} now: scenes cannot be looked at`, retryAfter: 30 });
}
