import type { Usage } from "../../pipeline/format.ts";
import { isObject } from "../checks.ts";
import { readUsage } from "../openai-responses/usage.ts";

/** What an answer says of its use: tokens, or only how long the sound is. */
export interface SaidUse {
  usage: Usage | undefined;
  seconds: number | undefined;
  unreadable: boolean;
}

/** Longer than a file of 25 MB can be in any format. */
const MOST_SECONDS = 1_000_000;

/** Seconds, begun ones as whole; undefined when they cannot be believed. */
export function secondsOf(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 && value <= MOST_SECONDS ? Math.ceil(value) : undefined;
}

/** Reads `{type: "tokens", …}` or `{type: "duration", seconds}`; `measured` stands in for seconds that are not said. */
export function readUse(said: unknown, measured: number): SaidUse {
  if (said === undefined || said === null) return { usage: undefined, seconds: undefined, unreadable: false };
  if (isObject(said) && (said["type"] === "duration" || said["input_tokens"] === undefined)) {
    const seconds = secondsOf(said["seconds"]);
    return { usage: undefined, seconds, unreadable: seconds === undefined };
  }
  const usage = readUsage(said);
  return { usage: usage && { ...usage, units: { seconds: measured } }, seconds: undefined, unreadable: usage === undefined };
}
