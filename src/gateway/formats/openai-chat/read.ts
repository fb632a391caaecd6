import { failure, type Failure } from "../../pipeline/failure.ts";
import type { ReadResult, RelayRequest } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { checkFields, checkMessages, checkModel, type Problem } from "./fields.ts";
import { countPrompt } from "./prompt.ts";

/** A validated chat request. Known fields are checked, unknown ones pass to the provider as they are. */
export class ChatRequest implements RelayRequest {
  readonly model: string;
  readonly stream: boolean;
  readonly outputCap: number | undefined;
  readonly choices: number;
  /** Whether the client asked for the usage chunk. */
  readonly showUsage: boolean;
  readonly #body: Record<string, unknown>;

  constructor(body: Record<string, unknown>) {
    this.#body = body;
    this.model = body["model"] as string;
    this.stream = body["stream"] === true;
    this.outputCap = (body["max_completion_tokens"] ?? body["max_tokens"] ?? undefined) as number | undefined;
    this.choices = (body["n"] ?? 1) as number;
    this.showUsage = (body["stream_options"] as Record<string, unknown> | null | undefined)?.["include_usage"] === true;
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget): number {
    return countPrompt(this.#body, tokenizer, budget);
  }

  /** Written anew from what was parsed and priced, so that the provider cannot read a doubled key another way than we did. */
  encode(upstreamModel: string, outputCap: number | undefined): string {
    const body: Record<string, unknown> = { ...this.#body, model: upstreamModel };
    if (this.stream) body["stream_options"] = { ...(body["stream_options"] as object | null), include_usage: true };
    else delete body["stream_options"];
    const cap = outputCap ?? this.outputCap;
    // Where both names are given, the one a provider reads must not allow more than the one we priced.
    if (typeof body["max_tokens"] === "number") body["max_tokens"] = cap;
    if (typeof body["max_completion_tokens"] === "number") body["max_completion_tokens"] = cap;
    else if (outputCap !== undefined && this.outputCap === undefined) body[capName(upstreamModel)] = outputCap;
    return JSON.stringify(body);
  }
}

/** What a model calls its cap when the client named none: reasoning models refuse the old name, other vendors know no other. */
function capName(upstreamModel: string): string {
  return /(^|\/)(o\d|gpt-[5-9])/i.test(upstreamModel) ? "max_completion_tokens" : "max_tokens";
}

function refuse(problem: Problem): { ok: false; failure: Failure } {
  return { ok: false, failure: failure("validation_failed", { message: `${problem.param}: ${problem.message}`, param: problem.param }) };
}

/** Reads the parsed body of a chat request. */
export function readRequest(body: unknown): ReadResult {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return refuse({ param: "body", message: "must be a JSON object" });
  const fields = body as Record<string, unknown>;
  const problem = checkModel(fields["model"]) ?? checkMessages(fields["messages"]) ?? checkFields(fields);
  return problem ? refuse(problem) : { ok: true, request: new ChatRequest(fields) };
}
