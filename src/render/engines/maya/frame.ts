import { chmod, lstat, mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import { limitReason, type Inside, type ProgramLimits } from "../../process/index.ts";
import { FrameFailed, type FrameHooks, type FrameJob, type FrameResult } from "../engine.ts";
import { CONTENT_TYPES, takePicture, type Format } from "../picture.ts";
import { MAYA_ENVIRONMENT, mayaArguments, PICTURES } from "./command.ts";
import { readLine } from "./output.ts";
import type { MayaSettings } from "./settings.ts";

/** Folders with Maya's parts beside the one it lies in. */
const PARTS = ["/opt/Autodesk", "/var/opt/Autodesk", "/etc/opt/Autodesk"];

/** Renders one frame, shut in, and takes its picture out. Throws {@link FrameFailed}. */
export async function renderFrame(
  inside: Inside,
  run: {
    maya: string;
    job: FrameJob & { scenePath: string; format: Format };
    settings: MayaSettings;
    threads: number;
    network: boolean;
    limits: ProgramLimits;
  },
  { progress, log, signal }: FrameHooks,
): Promise<FrameResult> {
  const { job, limits } = run;
  const { frame, width, height, samples, format } = job;
  const pictures = path.join(inside.folder, PICTURES);
  await mkdir(pictures);
  // Its program may be another user; nobody else comes this far.
  await chmod(pictures, 0o777);
  let reason: string | undefined;
  const began = performance.now();
  const ending = await inside.run(
    {
      file: run.maya,
      arguments: mayaArguments({ frame, width, height, samples, format, threads: run.threads, settings: run.settings }),
      given: { scene: job.scenePath },
      folders: PARTS,
      network: run.network,
      environment: MAYA_ENVIRONMENT,
      limits,
    },
    {
      signal,
      onLine(line) {
        const said = readLine(line);
        if (said.kind === "progress") progress(said.fraction);
        if (said.kind === "line") log(said.level, said.text);
        if (said.kind === "failed") reason ??= said.reason;
      },
    },
  );
  const seconds = (performance.now() - began) / 1_000;
  if (ending.kind === "limit") throw new FrameFailed({ retry: false, reason: `Maya ${limitReason(ending.limit, limits)}` });
  if (ending.kind === "crashed") throw new FrameFailed({ retry: true, reason: `Maya ended with ${ending.signal}` });
  if (reason !== undefined || ending.code !== 0) {
    // A licence may be free again later.
    const retry = reason?.startsWith("no licence") ?? false;
    throw new FrameFailed({ retry, reason: reason ?? `Maya ended with code ${ending.code}` });
  }
  await takePicture("Maya", await onlyPicture(pictures), job, limits.output);
  progress(1);
  return { path: job.outputPath, contentType: CONTENT_TYPES[format], width, height, seconds };
}

/** The one file below a folder: Maya puts it into folders of layers, and chooses its name. Follows no link. */
async function onlyPicture(folder: string): Promise<string> {
  const found: string[] = [];
  const open = (await lstat(folder)).isDirectory() ? [folder] : [];
  for (let next = open.pop(); next !== undefined && found.length < 2; next = open.pop()) {
    for (const entry of await readdir(next, { withFileTypes: true })) {
      const place = path.join(next, entry.name);
      if (entry.isDirectory()) open.push(place);
      else found.push(place);
    }
  }
  if (found.length === 1) return found[0]!;
  throw new FrameFailed({ retry: false, reason: found.length === 0 ? "Maya made no picture" : "Maya made more than one picture" });
}
