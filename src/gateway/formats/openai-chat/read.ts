import type { Failure } from "../../pipeline/failure.ts";
import type { AnswerKind, Dialect, PromptCount, PromptModel, ReadResult, RelayRequest, Speaks } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { asObject, checkFields, checkModel, refuse } from "../checks.ts";
import { CHAT_FIELDS, checkMessages, checkTools } from "./fields.ts";
import { NativeChat } from "./native.ts";
import { countPrompt } from "./prompt.ts";
import { chatToClaude } from "./to-claude/index.ts";

/** A validated chat request. Known fields are checked, unknown ones pass to the provider as they are. */
export class ChatRequest implements RelayRequest {
  readonly model: string;
  readonly answer: AnswerKind;
  readonly outputCap: number | undefined;
  readonly choices: number;
  readonly session: string | undefined;
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
    this.session = typeof body["prompt_cache_key"] === "string" ? body["prompt_cache_key"] : undefined;
    this.showUsage = (body["stream_options"] as Record<string, unknown> | null | undefined)?.["include_usage"] === true;
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget, model: PromptModel): number | PromptCount {
    return countPrompt(this.body, tokenizer, budget, model);
  }

  dialect(speaks: Speaks): Dialect | Failure {
    return speaks === "openai" ? new NativeChat(this) : chatToClaude(this);
  }
}

/** Reads the parsed body of a chat request; `streams` says what an absent `stream` means. */
export function readRequest(body: unknown, options: { streams?: boolean } = {}): ReadResult<ChatRequest> {
  const read = asObject(body);
  if (!read.ok) return read;
  const { fields } = read;
  const problem =
    checkModel(fields["model"]) ?? checkMessages(fields["messages"]) ?? checkFields(CHAT_FIELDS, fields) ?? checkTools(fields["tools"]);
  return problem ? refuse(problem) : { ok: true, request: new ChatRequest(fields, options.streams ?? false) };
}
