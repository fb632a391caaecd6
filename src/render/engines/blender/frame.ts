import { writeFile } from "node:fs/promises";
import path from "node:path";
import { limitReason, type Inside, type ProgramLimits } from "../../process/index.ts";
import { FrameFailed, type FrameHooks, type FrameJob, type FrameResult } from "../engine.ts";
import { CONTENT_TYPES, takePicture, type Format } from "../picture.ts";
import { scriptFile } from "./check.ts";
import { blenderArguments } from "./command.ts";
import { readLine } from "./output.ts";
import type { BlenderSettings } from "./settings.ts";

/** Renders one frame, shut in, and takes its picture out. Throws {@link FrameFailed}. */
export async function renderFrame(
  inside: Inside,
  run: {
    blender: string;
    job: FrameJob & { scenePath: string; format: Format };
    settings: BlenderSettings;
    device: string;
    devices: readonly string[];
    threads: number;
    limits: ProgramLimits;
  },
  { progress, log, signal }: FrameHooks,
): Promise<FrameResult> {
  const { job, settings, limits, threads, device } = run;
  const { width, height, samples, frame, format } = job;
  await writeFile(
    path.join(inside.folder, "job.json"),
    JSON.stringify({ ...settings, width, height, samples, frame, format, threads, device }),
  );
  let reason: string | undefined;
  const began = performance.now();
  const ending = await inside.run(
    {
      file: run.blender,
      arguments: blenderArguments(threads, (work) => [`${work}/job.json`, `${work}/picture`]),
      given: { scene: job.scenePath, script: scriptFile("render.py") },
      devices: run.devices,
      limits,
    },
    {
      signal,
      onLine(line) {
        const said = readLine(line);
        if (said.kind === "progress") progress(said.fraction);
        if (said.kind === "line") log(said.level, said.text);
        if (said.kind === "failed") reason = said.reason;
      },
    },
  );
  const seconds = (performance.now() - began) / 1_000;
  if (ending.kind === "limit") throw new FrameFailed({ retry: false, reason: `Blender ${limitReason(ending.limit, limits)}` });
  if (ending.kind === "crashed") throw new FrameFailed({ retry: true, reason: `Blender ended with ${ending.signal}` });
  if (ending.code !== 0) throw new FrameFailed({ retry: false, reason: reason ?? `Blender ended with code ${ending.code}` });
  await takePicture("Blender", path.join(inside.folder, "picture"), job, limits.output);
  progress(1);
  return { path: job.outputPath, contentType: CONTENT_TYPES[format], width, height, seconds };
}
