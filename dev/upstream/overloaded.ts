import type { OutEvent } from "./endpoint.ts";

export const OVERLOADED = "The demo upstream is overloaded.";

/** OpenAI's error inside a stream whose events have no names. */
export function overloadedEvent(): OutEvent {
  return { data: JSON.stringify({ error: { message: OVERLOADED, type: "server_error", param: null, code: "overloaded" } }) };
}
