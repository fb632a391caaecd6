/** What every engine is: one folder each, behind this interface. An engine knows nothing of tasks, money or where files are kept. */

/** A scene file that was fetched to this machine. */
export interface Scene {
  path: string;
  /** As its owner named it. */
  name: string;
  /** Bytes. */
  size: number;
}

/** What is to be rendered, as far as a check may want to know it. */
export interface SceneUse {
  width: number;
  height: number;
  samples: number;
  format: string;
  frameStart: number;
  frameEnd: number;
}

/** What a check found out. */
export interface SceneReport {
  /** Seconds that a frame is likely to take on one node; undefined when nobody can say. */
  secondsPerFrame?: number;
  /** Seconds that it takes at least: to start, and to open the scene. */
  leastSeconds?: number;
  /** MiB that a frame needs, where that is more than the engine always does. */
  memoryMb?: number;
  /** Remarks for the task's log. */
  notes: string[];
}

export interface FrameJob {
  /** Undefined for engines that need no scene file. */
  scenePath?: string;
  frame: number;
  /** Which try this is; the first one is 1, and what is taken when it is not said. */
  attempt?: number;
  width: number;
  height: number;
  samples: number;
  /** One of the engine's formats. */
  format: string;
  /** Where the picture goes; its folder exists and is empty but for what earlier tries of this frame left. */
  outputPath: string;
  /** MiB that this frame may use. */
  memoryMb?: number;
  /** As the check has accepted them. */
  settings: Readonly<Record<string, unknown>>;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface FrameHooks {
  /** From 0 to 1, inside this frame. */
  progress(fraction: number): void;
  log(level: LogLevel, line: string): void;
  /** Aborted when the frame is not wanted any more: the engine ends at once and rejects. */
  signal: AbortSignal;
}

export interface FrameResult {
  path: string;
  contentType: string;
  width: number;
  height: number;
  /** What is charged as rendering time. */
  seconds: number;
}

/** Whether an engine can work on this machine. */
export type EngineState = { kind: "ready"; version: string; notes: string[] } | { kind: "missing"; why: string };

export interface RenderEngine {
  readonly name: string;
  /** File formats of frames, the default first. */
  readonly formats: readonly string[];
  /** False when a task has no scene file. */
  readonly needsScene: boolean;
  /** MiB that every frame needs; 1024 unless told. */
  readonly memoryMb?: number;
  /** Whether it is installed here, and which version; found out once. An engine that has no such thing is part of this program. */
  state?(): Promise<EngineState>;
  /** Looks at a scene and its settings before any money is held. Throws {@link SceneRefused}, {@link EngineMissing}. */
  check(scene: Scene | undefined, settings: Readonly<Record<string, unknown>>, signal: AbortSignal, use: SceneUse): Promise<SceneReport>;
  /** Renders one frame. Throws {@link FrameFailed}, {@link EngineMissing}. */
  render(job: FrameJob, hooks: FrameHooks): Promise<FrameResult>;
}

/** This scene, or these settings, cannot be rendered; the message is for the owner. */
export class SceneRefused extends Error {
  /** The field of the request that is to blame. */
  readonly field: string;
  constructor(message: string, field = "scene_file_id") {
    super(message);
    this.name = "SceneRefused";
    this.field = field;
  }
}

/** A frame could not be rendered. With `retry` another try may do better. */
export class FrameFailed extends Error {
  readonly retry: boolean;
  readonly reason: string;
  constructor(failure: { retry: boolean; reason: string; cause?: unknown }) {
    super(failure.reason, { cause: failure.cause });
    this.name = "FrameFailed";
    this.retry = failure.retry;
    this.reason = failure.reason;
  }
}

/** This machine cannot do an engine's work, whatever the scene; another one may. */
export class EngineMissing extends Error {
  override readonly name = "EngineMissing";
}
