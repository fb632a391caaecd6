import { failure, type Failure } from "../../pipeline/failure.ts";
import type { WholeResult } from "../../pipeline/format.ts";
import { DeliveredContent } from "./delivered.ts";
import { endsInError, inBandFailure } from "./errors.ts";
import { readUsage } from "./usage.ts";

const bad = (message: string): { ok: false; failure: Failure } => ({
  ok: false,
  failure: failure("upstream_error", { message, record: "upstream_malformed", class: "malformed", elsewhere: true }),
});

type Fields = Record<string, unknown>;

/** Parses a complete answer, or says why it is none. */
export function parseCompletion(body: Buffer): { ok: true; answer: Fields; choices: unknown[] } | { ok: false; failure: Failure } {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString("utf8"));
  } catch {
    return bad("The provider's answer is not JSON");
  }
  if (typeof answer !== "object" || answer === null) return bad("The provider's answer is not a chat completion");
  const fields = answer as Fields;
  if (fields["error"] || endsInError(fields)) return { ok: false, failure: inBandFailure(fields) };
  const choices = fields["choices"];
  return Array.isArray(choices) ? { ok: true, answer: fields, choices } : bad("The provider's answer is not a chat completion");
}

/** What is taken out of a complete answer: its usage, and its content when that has to be counted. */
export function completionResult(answer: Fields, choices: unknown[]): Extract<WholeResult, { ok: true }> {
  const said = answer["usage"];
  const usage = readUsage(said);
  return {
    ok: true,
    usage,
    unreadableUsage: usage === undefined && said !== undefined && said !== null,
    count(tokenizer, budget) {
      const content = new DeliveredContent();
      choices.forEach((choice: unknown, index) => {
        content.readMessage((choice as Record<string, unknown> | null)?.["message"], String(index));
        content.readText(choice, String(index));
      });
      return content.count(tokenizer, budget);
    },
  };
}

/** Reads a complete answer. It is passed on as it came; only its usage is taken out of it. */
export function readWhole(body: Buffer): WholeResult {
  const parsed = parseCompletion(body);
  return parsed.ok ? completionResult(parsed.answer, parsed.choices) : parsed;
}
