import { setTimeout as delay } from "node:timers/promises";
import { FrameFailed, type RenderEngine } from "../engine.ts";
import { drawPicture } from "./picture.ts";
import { readSettings } from "./settings.ts";

const CONTENT_TYPES = { png: "image/png", jpeg: "image/jpeg", webp: "image/webp" } as const;
const FORMATS = ["png", "jpeg", "webp"] as const;
const STEP_MS = 100;

/**
 * An engine that needs no scene and no renderer: small work, the same picture each time. Its settings say how long a frame takes and which
 * ones fail, so that everything around an engine can be tried out.
 */
export function createSimulate(): RenderEngine {
  return {
    name: "simulate",
    formats: FORMATS,
    needsScene: false,
    memoryMb: 64,
    async check(_scene, settings) {
      const { seconds_per_frame, estimated_seconds } = readSettings(settings);
      return { secondsPerFrame: estimated_seconds ?? seconds_per_frame, notes: [] };
    },
    async render(job, { progress, log, signal }) {
      const settings = readSettings(job.settings);
      const format = FORMATS.find((known) => known === job.format);
      if (!format) throw new FrameFailed({ retry: false, reason: `simulate writes no ${job.format}` });
      await pass(settings.seconds_per_frame * 1_000, progress, signal);
      if (settings.fail_frames.includes(job.frame)) throw new FrameFailed({ retry: false, reason: `frame ${job.frame} is set to fail` });
      if (settings.fail_once.includes(job.frame) && (job.attempt ?? 1) === 1)
        throw new FrameFailed({ retry: true, reason: `frame ${job.frame} is set to fail once` });
      const { width, height, frame, samples } = job;
      await drawPicture({ path: job.outputPath, format, width, height, frame, samples, seed: settings.seed });
      signal.throwIfAborted();
      progress(1);
      log("info", `frame ${frame} of ${width} × ${height} drawn`);
      return { path: job.outputPath, contentType: CONTENT_TYPES[format], width, height, seconds: settings.seconds_per_frame };
    },
  };
}

/** Lets the time of a frame pass, telling how far it is. Rejects when aborted. */
async function pass(totalMs: number, progress: (fraction: number) => void, signal: AbortSignal): Promise<void> {
  for (let passed = 0; passed < totalMs; passed += STEP_MS) {
    progress(passed / totalMs);
    await delay(Math.min(STEP_MS, totalMs - passed), undefined, { signal });
  }
}
