import os from "node:os";
import path from "node:path";
import type { Config } from "../config/index.ts";
import type { ProgramSettings } from "../render/index.ts";

/** Where a node keeps scenes and draws frames. */
export const renderFolder = (config: Config): string => path.resolve(config.RENDER_FOLDER ?? path.join(os.tmpdir(), "tollkeeper-render"));

const MIB = 2 ** 20;

/** Renderers and their limits, as the settings say. */
export const renderPrograms = (config: Config): ProgramSettings => ({
  offered: config.RENDER_ENGINES,
  blender: config.RENDER_BLENDER,
  blenderDevice: config.RENDER_BLENDER_DEVICE,
  maya: config.RENDER_MAYA,
  mayaNetwork: config.RENDER_MAYA_NETWORK,
  ffmpeg: config.RENDER_FFMPEG,
  isolated: (config.RENDER_ISOLATION ?? (config.production ? "required" : "preferred")) === "required",
  folder: renderFolder(config),
  frameMs: config.RENDER_FRAME_TIME,
  checkMs: config.RENDER_CHECK_TIME,
  memory: config.RENDER_MEMORY_MB * MIB,
  output: config.RENDER_OUTPUT_MB * MIB,
  threads: config.RENDER_THREADS,
});
