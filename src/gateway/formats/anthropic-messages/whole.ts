import { failure, type Failure } from "../../pipeline/failure.ts";
import type { WholeResult } from "../../pipeline/format.ts";
import { isObject, type Fields } from "../checks.ts";
import { DeliveredContent } from "./delivered.ts";
import { inBandFailure } from "./errors.ts";
import { readUsage } from "./usage.ts";

const bad = (message: string): { ok: false; failure: Failure } => ({
  ok: false,
  failure: failure("upstream_error", { message, record: "upstream_malformed", class: "malformed", elsewhere: true }),
});

/** Parses a complete answer to a message, or says why it is none. */
export function parseMessage(body: Buffer): { ok: true; message: Fields; blocks: Fields[] } | { ok: false; failure: Failure } {
  let message: unknown;
  try {
    message = JSON.parse(body.toString("utf8"));
  } catch {
    return bad("The provider's answer is not JSON");
  }
  if (!isObject(message)) return bad("The provider's answer is not a message");
  if (message["type"] === "error" || message["error"]) return { ok: false, failure: inBandFailure(message) };
  const { content } = message as { content?: unknown };
  if (!Array.isArray(content)) return bad("The provider's answer is not a message");
  return { ok: true, message, blocks: (content as unknown[]).filter(isObject) };
}

/** Reads a complete answer. It is passed on as it came; only its usage is taken out of it. */
export function readWhole(body: Buffer): WholeResult {
  const parsed = parseMessage(body);
  if (!parsed.ok) return parsed;
  const said = parsed.message["usage"];
  const usage = isObject(said) ? readUsage(said) : undefined;
  return {
    ok: true,
    usage,
    unreadableUsage: usage === undefined && said !== undefined && said !== null,
    count(tokenizer, budget) {
      const content = new DeliveredContent();
      parsed.blocks.forEach((block, index) => content.readBlock(block, String(index)));
      return content.count(tokenizer, budget);
    },
  };
}
