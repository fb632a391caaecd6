import type { Failure } from "../../pipeline/failure.ts";
import type { WholeResult } from "../../pipeline/format.ts";
import { isObject, objectsIn, type Fields } from "../checks.ts";
import { malformed } from "../events.ts";
import { isUnreadable, readObject } from "../whole.ts";
import { DeliveredContent } from "./delivered.ts";
import { inBandFailure } from "./errors.ts";
import { readUsage } from "./usage.ts";

/** Parses a complete answer to a message, or says why it is none. */
export function parseMessage(body: Buffer): { ok: true; message: Fields; blocks: Fields[] } | { ok: false; failure: Failure } {
  const read = readObject(body, "a message", inBandFailure);
  if (!read.ok) return read;
  const { content } = read.fields as { content?: unknown };
  if (!Array.isArray(content)) return { ok: false, failure: malformed("The provider's answer is not a message") };
  return { ok: true, message: read.fields, blocks: objectsIn(content) };
}

/** What is taken out of a complete message: its usage, and its content when that has to be counted. */
export function messageResult(message: Fields, blocks: Fields[]): Extract<WholeResult, { ok: true }> {
  const said = message["usage"];
  const usage = isObject(said) ? readUsage(said) : undefined;
  return {
    ok: true,
    usage,
    unreadableUsage: isUnreadable(said, usage),
    count(tokenizer, budget) {
      const content = new DeliveredContent();
      blocks.forEach((block, index) => content.readBlock(block, String(index)));
      return content.count(tokenizer, budget);
    },
  };
}

/** Reads a complete answer. It is passed on as it came; only its usage is taken out of it. */
export function readWhole(body: Buffer): WholeResult {
  const parsed = parseMessage(body);
  return parsed.ok ? messageResult(parsed.message, parsed.blocks) : parsed;
}
