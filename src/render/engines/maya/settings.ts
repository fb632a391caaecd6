import { z } from "zod";
import { SceneRefused } from "../engine.ts";

/** What somebody may say of a task for Maya. */
const schema = z.strictObject({
  /** As after `-r`: Arnold, Maya's own renderer, its hardware renderer, or what the scene says. */
  renderer: z.enum(["arnold", "sw", "hw2", "file"]).default("arnold"),
  camera: z
    .string()
    .regex(/^[A-Za-z_|:][\w|:]{0,200}$/, "must be the name of a camera")
    .optional(),
});

export type MayaSettings = z.output<typeof schema>;

/** Reads the settings of a task. Throws {@link SceneRefused} naming the one that is wrong. */
export function readSettings(settings: Readonly<Record<string, unknown>>): MayaSettings {
  const read = schema.safeParse(settings);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new SceneRefused(issue?.message ?? "is not valid", ["settings", ...(issue?.path ?? [])].join("."));
}
