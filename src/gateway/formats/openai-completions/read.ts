import type { AnswerKind, Dialect, ReadResult, RelayRequest } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { asObject, checkFields, checkModel, refuse, type Fields, type Problem } from "../checks.ts";
import { checkTextOrTokens, itemsOf, tokensOf, type TextOrTokens } from "../tokenLists.ts";
import { COMPLETION_FIELDS } from "./fields.ts";
import { NativeCompletion } from "./native.ts";

/** What the vendor takes an absent `max_tokens` for. Said outright, for other vendors have other ideas. */
const DEFAULT_CAP = 16;
const PROMPTS = 2_048;

/** A validated legacy completion. Known fields are checked, unknown ones pass to the provider as they are. */
export class CompletionRequest implements RelayRequest {
  readonly model: string;
  readonly answer: AnswerKind;
  readonly outputCap: number;
  readonly choices: number;
  readonly showUsage: boolean;
  readonly body: Readonly<Fields>;
  /** Texts or lists of tokens. */
  readonly prompts: readonly (string | number[])[];

  constructor(body: Fields) {
    this.body = body;
    this.model = body["model"] as string;
    this.answer = body["stream"] === true ? "stream" : "whole";
    this.outputCap = (body["max_tokens"] ?? DEFAULT_CAP) as number;
    this.prompts = itemsOf((body["prompt"] ?? "") as TextOrTokens);
    // Of `best_of` answers only `n` come back, but all are written and charged; each prompt has its own.
    this.choices = Math.max((body["n"] ?? 1) as number, (body["best_of"] ?? 1) as number) * this.prompts.length;
    this.showUsage = (body["stream_options"] as Fields | null | undefined)?.["include_usage"] === true;
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget): number {
    const suffix = this.body["suffix"];
    let tokens = typeof suffix === "string" ? tokenizer.count(suffix, budget) : 0;
    // An empty prompt is one token: the end of the text before.
    for (const prompt of this.prompts) tokens += Math.max(1, tokensOf(prompt, tokenizer, budget));
    return tokens;
  }

  dialect(): Dialect {
    return new NativeCompletion(this);
  }
}

function checkBestOf({ n, best_of: bestOf }: Fields): Problem | undefined {
  return typeof bestOf === "number" && bestOf < ((n ?? 1) as number) ? { param: "best_of", message: "must not be less than n" } : undefined;
}

/** Reads the parsed body of a legacy completion. */
export function readCompletion(body: unknown): ReadResult {
  const read = asObject(body);
  if (!read.ok) return read;
  const { fields } = read;
  const { prompt } = fields;
  const problem =
    checkModel(fields["model"]) ??
    (prompt === undefined ? { param: "prompt", message: "is required" } : undefined) ??
    (prompt === null ? undefined : checkTextOrTokens(prompt, "prompt", { items: PROMPTS, empty: true })) ??
    checkFields(COMPLETION_FIELDS, fields) ??
    checkBestOf(fields);
  return problem ? refuse(problem) : { ok: true, request: new CompletionRequest(fields) };
}
