import type { Emit } from "../activity/index.ts";
import type { Budget, Ledger } from "../ledger/index.ts";
import type { Notify } from "../notify/index.ts";
import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import type { SecretBox } from "../platform/secrets.ts";
import type { RenderEngine } from "./engines/engine.ts";
import type { RenderFiles } from "./files.ts";
import type { RenderLimits } from "./limits.ts";
import type { Publish } from "./live.ts";
import type { RenderMetrics } from "./metrics.ts";
import type { VideoMaker } from "./video/index.ts";
import type { RenderWorkflows } from "./workflowLink.ts";

/** The engines that are offered here, by name. */
export type Engines = ReadonlyMap<string, RenderEngine>;

/** Who is told what happens to tasks. */
export interface TellDeps {
  /** Whoever watches. */
  publish: Publish;
  /** The activity log and metrics. */
  emit: Emit;
}

/** What making and changing tasks needs. */
export interface TaskDeps extends TellDeps {
  pool: Pool;
  log: Logger;
  ledger: Pick<Ledger, "reserve" | "releaseWithin" | "heldFor">;
  workflows: RenderWorkflows;
  /** Spend limits and quotas of credits that an account's tasks are held against; none of its own keys'. */
  budgetsOf: (userId: string) => Promise<readonly Budget[]>;
  engines: Engines;
  /** What the names of render nodes' task queues begin with. */
  renderQueue: string;
  files: Pick<RenderFiles, "read" | "removeOfTask">;
  /** Whether there is a place for files: without one nothing can be rendered. */
  stores: boolean;
  secretBox: SecretBox;
  limitsOf: (userId: string) => Promise<RenderLimits>;
  /** Whether callbacks may go to private addresses. */
  allowPrivate: boolean;
}

/** What the steps of a task's workflow need. */
export interface WorkDeps extends TellDeps {
  pool: Pool;
  log: Logger;
  ledger: Pick<Ledger, "reserve" | "settlePart" | "replaceHold" | "releaseWithin" | "heldWithin">;
  budgetsOf: TaskDeps["budgetsOf"];
  engines: Engines;
  files: RenderFiles;
  notify: Pick<Notify, "webhook">;
  metrics: RenderMetrics;
  /** Makes films of frames, where this machine can. */
  video?: VideoMaker | undefined;
  /** Where frames are rendered and scenes are kept on this machine. */
  folder: string;
}

/** The owner of a task's hold, as the ledger knows it. */
export const holdOwner = (taskId: string): string => `render:${taskId}`;

/** How long a hold lives unless it is renewed; see renewHolds. */
export const HOLD_TTL_MS = 86_400_000;
