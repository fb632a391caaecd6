import path from "node:path";
import type { Logger } from "../../platform/logger.ts";
import type { EngineState } from "../engines/engine.ts";
import { createInstalled } from "../engines/installed.ts";
import { limitsOf, threadsOf, type NodeSettings } from "../engines/node.ts";
import { limitReason, takeFile, type Sandbox } from "../process/index.ts";
import { doneOf, filmArguments, isProgress, versionOf, type Film } from "./command.ts";

/** Makes films of pictures. */
export interface VideoMaker {
  state(): Promise<EngineState>;
  /** Makes one of a folder of pictures. Throws {@link FilmFailed}, and EngineMissing without ffmpeg. */
  make(film: Omit<Film, "threads"> & { frames: string; count: number; to: string }, hooks: FilmHooks): Promise<void>;
}

export interface FilmHooks {
  progress(fraction: number): void;
  signal: AbortSignal;
}

/** A film could not be made; the message is for the owner of the pictures. */
export class FilmFailed extends Error {
  override readonly name = "FilmFailed";
}

const START_MS = 30_000;

/** ffmpeg, shut in as renderers are: pictures come from scenes. */
export function createVideoMaker(deps: { program: string; node: NodeSettings; sandbox: Sandbox; log: Logger }): VideoMaker {
  const { program, node, sandbox, log } = deps;
  const threads = threadsOf(node);
  const ffmpeg = createInstalled({ name: "ffmpeg", program, sandbox, log, ask });

  async function ask(file: string): Promise<string | undefined> {
    const lines: string[] = [];
    const hooks = { signal: AbortSignal.timeout(2 * START_MS), onLine: (line: string) => void lines.push(line) };
    await sandbox.enter(({ run }) => run({ file, arguments: () => ["-version"], limits: limitsOf(node, START_MS) }, hooks));
    return versionOf(lines);
  }

  return {
    state: () => ffmpeg.state(),
    async make({ frames, count, to, ...film }, { progress, signal }) {
      const { file } = await ffmpeg.here();
      const limits = limitsOf(node, node.frameMs);
      let complaint: string | undefined;
      const onLine = (line: string) => {
        const done = doneOf(line);
        if (done !== undefined) progress(Math.min(1, done / count));
        else if (!isProgress(line)) complaint ??= line;
      };
      await sandbox.enter(async ({ folder, run }) => {
        const words = filmArguments({ ...film, threads });
        const ending = await run({ file, arguments: words, given: { frames }, limits }, { signal, onLine });
        if (ending.kind === "limit") throw new FilmFailed(`ffmpeg ${limitReason(ending.limit, limits)}`);
        if (ending.kind === "crashed") throw new FilmFailed(`ffmpeg ended with ${ending.signal}`);
        if (ending.code !== 0) throw new FilmFailed(complaint ?? `ffmpeg ended with code ${ending.code}`);
        await takeFile(path.join(folder, "film"), to, limits.output);
      });
    },
  };
}
