import type { Logger } from "../../../platform/logger.ts";
import type { Sandbox } from "../../process/index.ts";
import { FrameFailed, SceneRefused, type RenderEngine } from "../engine.ts";
import { createInstalled } from "../installed.ts";
import { limitsOf, threadsOf, type NodeSettings } from "../node.ts";
import { FORMATS } from "../picture.ts";
import { versionOf } from "./command.ts";
import { readMayaHeader } from "./fileHeader.ts";
import { renderFrame } from "./frame.ts";
import { readSettings } from "./settings.ts";

export interface MayaDeps {
  /** Path or name of Maya's command `Render`. */
  program: string;
  /** Lets it reach the network, for its licence; then scenes reach it too. */
  network: boolean;
  node: NodeSettings;
  /** One that runs nothing unless it is kept apart: scripts in scenes of Maya cannot be switched off. */
  sandbox: Sandbox;
  log: Logger;
}

const START_MS = 120_000;

/** Maya's own command line `Render`, one process a frame, shut in. */
export function createMaya({ program, network, node, sandbox, log }: MayaDeps): RenderEngine {
  const threads = threadsOf(node);
  const maya = createInstalled({ name: "Maya", program, sandbox, log, ask });

  async function ask(file: string): Promise<string | undefined> {
    const lines: string[] = [];
    const hooks = { signal: AbortSignal.timeout(2 * START_MS), onLine: (line: string) => void lines.push(line) };
    const limits = limitsOf(node, START_MS);
    await sandbox.enter(({ run }) => run({ file, arguments: () => ["-v"], limits }, hooks));
    return versionOf([...lines, file]);
  }

  return {
    name: "maya",
    formats: FORMATS,
    needsScene: true,
    state: () => maya.state(),
    async check(scene, settings) {
      readSettings(settings);
      if (!scene) throw new SceneRefused("is missing");
      const { version } = await maya.here();
      const { year } = await readMayaHeader(scene.path);
      if (year !== undefined && year > Number.parseInt(version, 10))
        throw new SceneRefused(`was saved by Maya ${year}, which is newer than the ${version} that renders here`);
      return { notes: [] };
    },
    async render(job, hooks) {
      const { scenePath } = job;
      const format = FORMATS.find((known) => known === job.format);
      if (!format || !scenePath)
        throw new FrameFailed({ retry: false, reason: format ? "there is no scene" : `Maya writes no ${job.format}` });
      const { file } = await maya.here();
      const run = { maya: file, job: { ...job, scenePath, format }, settings: readSettings(job.settings), threads, network };
      return sandbox.enter((inside) => renderFrame(inside, { ...run, limits: limitsOf(node, node.frameMs) }, hooks));
    },
  };
}
