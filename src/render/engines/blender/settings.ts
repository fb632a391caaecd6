import { z } from "zod";
import { SceneRefused } from "../engine.ts";

const name = z.string().min(1).max(63);

/** What somebody may say of a task for Blender. All of it is optional; unless told, all is as in the file. */
const schema = z.strictObject({
  /** The scene of the file to render. */
  scene: name.optional(),
  camera: name.optional(),
  render_engine: z.enum(["cycles", "eevee"]).optional(),
  /** Render although the scene needs files that it does not carry. */
  allow_missing: z.boolean().default(false),
});

export type BlenderSettings = z.output<typeof schema>;

/** Reads the settings of a task. Throws {@link SceneRefused} naming the one that is wrong. */
export function readSettings(settings: Readonly<Record<string, unknown>>): BlenderSettings {
  const read = schema.safeParse(settings);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new SceneRefused(issue?.message ?? "is not valid", ["settings", ...(issue?.path ?? [])].join("."));
}
