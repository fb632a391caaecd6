import { gather } from "../cache/index.ts";
import { WITHHELD_LIMIT } from "../guardrail/index.ts";
import { writeEvents } from "./answer.ts";
import type { Call } from "./call.ts";

/** Hands on what a stream's reader lets pass: to the client, or to what is withheld until the whole was checked. False: too much of it. */
export function forward(call: Call, bytes: Buffer): boolean {
  if (call.gone) return true;
  gather(call, bytes);
  const { withheld } = call;
  if (!withheld) {
    call.delivered = true;
    writeEvents(call, bytes);
    return true;
  }
  withheld.parts.push(bytes);
  withheld.bytes += bytes.length;
  return withheld.bytes <= WITHHELD_LIMIT;
}

/** Another provider is asked: what the last one said and nobody has seen is forgotten. */
export function startOver(call: Call): void {
  if (call.toCache) call.toCache = { place: call.toCache.place, parts: [], bytes: 0 };
  if (call.withheld) call.withheld = { parts: [], bytes: 0 };
}
