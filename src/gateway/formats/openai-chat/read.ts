import { failure, type Failure } from "../../pipeline/failure.ts";
import type { AnswerKind, Dialect, ReadResult, RelayRequest } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { checkFields, checkMessages, checkModel, type Problem } from "./fields.ts";
import { NativeChat } from "./native.ts";
import { countPrompt } from "./prompt.ts";

/** A validated chat request. Known fields are checked, unknown ones pass to the provider as they are. */
export class ChatRequest implements RelayRequest {
  readonly model: string;
  readonly answer: AnswerKind;
  readonly outputCap: number | undefined;
  readonly choices: number;
  /** Whether the client asked for the usage chunk. */
  readonly showUsage: boolean;
  /** As the client sent it. */
  readonly body: Readonly<Record<string, unknown>>;

  constructor(body: Record<string, unknown>, streams: boolean) {
    this.body = body;
    this.model = body["model"] as string;
    this.answer = (body["stream"] ?? streams) === true ? "stream" : "whole";
    this.outputCap = (body["max_completion_tokens"] ?? body["max_tokens"] ?? undefined) as number | undefined;
    this.choices = (body["n"] ?? 1) as number;
    this.showUsage = (body["stream_options"] as Record<string, unknown> | null | undefined)?.["include_usage"] === true;
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget): number {
    return countPrompt(this.body, tokenizer, budget);
  }

  dialect(): Dialect {
    return new NativeChat(this);
  }
}

function refuse(problem: Problem): { ok: false; failure: Failure } {
  return { ok: false, failure: failure("validation_failed", { message: `${problem.param}: ${problem.message}`, param: problem.param }) };
}

/** Reads the parsed body of a chat request; `streams` says what an absent `stream` means. */
export function readRequest(body: unknown, options: { streams?: boolean } = {}): ReadResult<ChatRequest> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return refuse({ param: "body", message: "must be a JSON object" });
  const fields = body as Record<string, unknown>;
  const problem = checkModel(fields["model"]) ?? checkMessages(fields["messages"]) ?? checkFields(fields);
  return problem ? refuse(problem) : { ok: true, request: new ChatRequest(fields, options.streams ?? false) };
}
