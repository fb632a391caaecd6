import { writeFile } from "node:fs/promises";
import path from "node:path";
import sharp from "sharp";
import { limitReason, NotTaken, takeFile, type Inside, type ProgramLimits } from "../../process/index.ts";
import { FrameFailed, type FrameHooks, type FrameJob, type FrameResult } from "../engine.ts";
import { scriptFile } from "./check.ts";
import { blenderArguments } from "./command.ts";
import { readLine } from "./output.ts";
import type { BlenderSettings } from "./settings.ts";

export const CONTENT_TYPES = { png: "image/png", jpeg: "image/jpeg", exr: "image/x-exr" } as const;
export type Format = keyof typeof CONTENT_TYPES;

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
  await takePicture(path.join(inside.folder, "picture"), job, limits.output);
  progress(1);
  return { path: job.outputPath, contentType: CONTENT_TYPES[format], width, height, seconds };
}

/** Takes the picture out when it is one of the format and size that were asked for. */
async function takePicture(from: string, { outputPath, format, width, height }: FrameJob, most: number): Promise<void> {
  try {
    await takeFile(from, outputPath, most);
  } catch (error) {
    if (!(error instanceof NotTaken)) throw error;
    throw new FrameFailed({ retry: false, reason: `Blender made no picture: ${error.message}`, cause: error });
  }
  if (format === "exr") return;
  const seen = await sharp(outputPath, { limitInputPixels: false })
    .metadata()
    .catch(() => undefined);
  if (seen?.format === format && seen.width === width && seen.height === height) return;
  const what = seen ? `${seen.format} of ${seen.width} × ${seen.height}` : "something else";
  throw new FrameFailed({ retry: false, reason: `Blender made ${what} in place of ${format} of ${width} × ${height}` });
}
