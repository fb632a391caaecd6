import type { Dialect, ReadResult, RelayRequest } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { asObject, checkFields, checkModel, isObject, NO_CHOICE_OF_OTHERS, refuse, type Fields, type Problem } from "../checks.ts";
import { NativeModeration } from "./native.ts";

/** What the vendor takes when no model is named. */
const DEFAULT_MODEL = "omni-moderation-latest";
/** As an image in a chat at high detail. */
const IMAGE = 1_600;
const INPUTS = 2_048;

/** A validated request for moderation: charged by the request, or by the tokens it has. */
export class ModerationRequest implements RelayRequest {
  readonly model: string;
  readonly answer = "whole";
  readonly outputCap = 0;
  readonly choices = 1;
  readonly body: Readonly<Fields>;

  constructor(body: Fields) {
    this.body = body;
    this.model = (body["model"] ?? DEFAULT_MODEL) as string;
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget): number {
    const { input } = this.body;
    let tokens = 0;
    for (const item of (Array.isArray(input) ? input : [input]) as (string | Fields)[]) {
      const text = typeof item === "string" ? item : item["text"];
      tokens += typeof text === "string" ? tokenizer.count(text, budget) : IMAGE;
    }
    return tokens;
  }

  dialect(): Dialect {
    return new NativeModeration(this);
  }
}

function checkInput(input: unknown): Problem | undefined {
  if (input === undefined || input === null) return { param: "input", message: "is required" };
  if (typeof input === "string") return undefined;
  if (!Array.isArray(input)) return { param: "input", message: "must be text, a list of texts or a list of parts" };
  if (input.length === 0) return { param: "input", message: "must not be empty" };
  if (input.length > INPUTS) return { param: "input", message: `must be a list of at most ${INPUTS}` };
  for (const [i, item] of (input as unknown[]).entries()) {
    if (typeof item === "string") continue;
    if (!isObject(item)) return { param: `input[${i}]`, message: "must be text or an object" };
    if (item["type"] === "text" && typeof item["text"] !== "string") return { param: `input[${i}].text`, message: "must be text" };
    if (typeof item["type"] !== "string") return { param: `input[${i}].type`, message: "must be text" };
  }
  return undefined;
}

/** Reads the parsed body of a request for moderation. */
export function readModeration(body: unknown): ReadResult {
  const read = asObject(body);
  if (!read.ok) return read;
  const { fields } = read;
  const model = fields["model"] ?? undefined;
  const problem =
    (model === undefined ? undefined : checkModel(model)) ?? checkInput(fields["input"]) ?? checkFields(NO_CHOICE_OF_OTHERS, fields);
  return problem ? refuse(problem) : { ok: true, request: new ModerationRequest(fields) };
}
