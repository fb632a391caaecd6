import type { WholeResult } from "../../pipeline/format.ts";
import { malformed } from "../events.ts";
import { isUnreadable, readObject } from "../whole.ts";
import { DeliveredOutput } from "./delivered.ts";
import { failedResponse } from "./errors.ts";
import { keptOf } from "./kept.ts";
import { readUsage } from "./usage.ts";

const WHAT = "a response";

/** Reads a complete response. Only completed and incomplete ones are answers; work that still goes on is not metered and so has failed. */
export function readResponse(body: Buffer, options: { searching: boolean }): WholeResult {
  const read = readObject(body, WHAT);
  if (!read.ok) return read;
  const { status, output, usage: said } = read.fields;
  if (!Array.isArray(output)) return { ok: false, failure: malformed(`The provider's answer is not ${WHAT}`) };
  if (status !== undefined && status !== "completed" && status !== "incomplete") return { ok: false, failure: failedResponse(read.fields) };
  const usage = readUsage(said);
  const content = new DeliveredOutput(options.searching);
  content.readOutput(output);
  return {
    ok: true,
    usage: usage && { ...usage, units: content.units },
    unreadableUsage: isUnreadable(said, usage),
    kept: keptOf(read.fields),
    count: (tokenizer, budget) => content.count(tokenizer, budget),
  };
}
