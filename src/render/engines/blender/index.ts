import type { Logger } from "../../../platform/logger.ts";
import type { Sandbox } from "../../process/index.ts";
import { FrameFailed, SceneRefused, type RenderEngine } from "../engine.ts";
import { createInstalled } from "../installed.ts";
import { limitsOf, threadsOf, type NodeSettings } from "../node.ts";
import { FORMATS } from "../picture.ts";
import { judge, newer, newerReason, readScene } from "./check.ts";
import { versionOf } from "./command.ts";
import { readFileHeader } from "./fileHeader.ts";
import { renderFrame } from "./frame.ts";
import { readSettings } from "./settings.ts";

/** What Cycles may compute on; see Blender's option --cycles-device. */
export type Device = "CPU" | "CUDA" | "OPTIX" | "HIP" | "ONEAPI";

export interface BlenderDeps {
  /** A path, or a name on the PATH. */
  program: string;
  device: Device;
  node: NodeSettings;
  sandbox: Sandbox;
  log: Logger;
}

const START_MS = 60_000;
/** Where drivers of graphics cards are spoken to. */
const CARDS = ["/dev/dri", "/dev/kfd", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia0", "/dev/nvidia1"];
const MORE_CARDS = ["/dev/nvidia2", "/dev/nvidia3", "/dev/nvidia4", "/dev/nvidia5", "/dev/nvidia6", "/dev/nvidia7"];

/** Blender's own command line, one process a frame, shut in by the sandbox: a .blend file may bring anything. */
export function createBlender({ program, device, node, sandbox, log }: BlenderDeps): RenderEngine {
  const graphics = device !== "CPU";
  const devices = graphics ? [...CARDS, ...MORE_CARDS] : [];
  const threads = threadsOf(node);
  const blender = createInstalled({ name: "Blender", program, sandbox, log, ask });

  async function ask(file: string): Promise<string | undefined> {
    const lines: string[] = [];
    const hooks = { signal: AbortSignal.timeout(2 * START_MS), onLine: (line: string) => void lines.push(line) };
    await sandbox.enter(({ run }) => run({ file, arguments: () => ["--version"], limits: limitsOf(node, START_MS) }, hooks));
    return versionOf(lines);
  }

  return {
    name: "blender",
    formats: FORMATS,
    needsScene: true,
    state: () => blender.state(),
    async check(scene, settings, signal, use) {
      const read = readSettings(settings);
      if (!scene) throw new SceneRefused("is missing");
      const { file, version } = await blender.here();
      const header = await readFileHeader(scene, signal);
      const [major = 0, minor = 0] = version.split(".").map(Number);
      // Told before Blender is let at it: it opens newer files too, and leaves out what it does not know.
      if (header.version) {
        const written = [header.version.major, header.version.minor] as const;
        if (newer(written, [major, minor])) throw new SceneRefused(newerReason(written, [major, minor]));
      }
      const limits = limitsOf(node, node.checkMs);
      const began = performance.now();
      const facts = await sandbox.enter((inside) =>
        readScene(inside, { blender: file, scenePath: scene.path, settings: read, threads, limits }, signal),
      );
      const leastSeconds = Math.round((performance.now() - began) / 100) / 10;
      return { leastSeconds, notes: judge(facts, read, use, { eevee: graphics }) };
    },
    async render(job, hooks) {
      const { scenePath } = job;
      const format = FORMATS.find((known) => known === job.format);
      if (!format || !scenePath)
        throw new FrameFailed({ retry: false, reason: format ? "there is no scene" : `Blender writes no ${job.format}` });
      const { file } = await blender.here();
      const settings = readSettings(job.settings);
      const limits = limitsOf(node, node.frameMs, !graphics);
      const run = { blender: file, job: { ...job, scenePath, format }, settings, device, devices, threads, limits };
      return sandbox.enter((inside) => renderFrame(inside, run, hooks));
    },
  };
}
