import type { z } from "zod";

/** One live setting. Its value is what the schema makes of the JSON that an operator sends. */
export interface Setting<T = unknown> {
  /** `<subject>.<name>`, e.g. `checkin.rewards`. */
  key: string;
  description: string;
  schema: z.ZodType<T>;
  /** The value in JSON form while nobody has set another. */
  fallback: unknown;
}

/** Settings that are read together, by the names that the reader uses. */
export type SettingGroup = Readonly<Record<string, Setting>>;

/** The values of a group. */
export type ValuesOf<G extends SettingGroup> = { readonly [Name in keyof G]: G[Name] extends Setting<infer T> ? T : never };

/** Declares a live setting; give it to `createSettings` in the composition root. */
export function setting<S extends z.ZodType>(definition: {
  key: string;
  description: string;
  schema: S;
  fallback: z.input<S>;
}): Setting<z.output<S>> {
  return definition as unknown as Setting<z.output<S>>;
}
