import { z } from "zod";
import { SceneRefused } from "../engine.ts";

const frames = z.array(z.number().int()).max(1_000);

/** What a simulated scene does. All of it is optional. */
const schema = z.strictObject({
  /** How long a frame takes, and what is charged as its time. */
  seconds_per_frame: z.number().min(0).max(3_600).default(0),
  /** What the check says a frame will take: to try out estimates that are wrong. */
  estimated_seconds: z.number().min(0).max(3_600).optional(),
  /** Frames that never succeed. */
  fail_frames: frames.default([]),
  /** Frames whose first try fails. */
  fail_once: frames.default([]),
  /** Tells one scene's pictures from another's. */
  seed: z.number().int().min(0).max(65_535).default(0),
});

export type SimulateSettings = z.output<typeof schema>;

/** Reads the settings of a task. Throws {@link SceneRefused} naming the one that is wrong. */
export function readSettings(settings: Readonly<Record<string, unknown>>): SimulateSettings {
  const read = schema.safeParse(settings);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new SceneRefused(issue?.message ?? "is not valid", ["settings", ...(issue?.path ?? [])].join("."));
}
