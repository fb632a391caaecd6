import { setTimeout as delay } from "node:timers/promises";

/**
 * Asks again and again until `condition` gives something true, and returns that. An error counts as "not yet". After
 * `timeoutMs` it throws with `message` and the last error. Tests wait with this and never for a fixed time.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: { timeoutMs?: number; message?: string | (() => string); everyMs?: number } = {},
): Promise<NonNullable<T>> {
  const { timeoutMs = 10_000, everyMs = 25 } = options;
  const deadline = performance.now() + timeoutMs;
  let problem: unknown;
  do {
    try {
      const value = await condition();
      problem = undefined;
      if (value) return value;
    } catch (error) {
      problem = error;
    }
    await delay(everyMs);
  } while (performance.now() < deadline);
  const message = typeof options.message === "function" ? options.message() : (options.message ?? "the condition");
  const because = problem instanceof Error ? `: ${problem.message}` : "";
  throw new Error(`waited ${timeoutMs} ms in vain for ${message}${because}`, { cause: problem });
}
