import { randomBytes } from "node:crypto";
import { stripDirectives, type Directives } from "./directives.ts";
import { answerPieces } from "./text.ts";
import { cutToTokens, promptTokens, textOf, tokensOf, type Message } from "./tokens.ts";

/** The parts of a chat completion request that matter here. */
export interface ChatRequest {
  model: string;
  messages: Message[];
  stream?: unknown;
  stream_options?: { include_usage?: unknown } | null;
  max_tokens?: unknown;
  max_completion_tokens?: unknown;
  n?: unknown;
  tools?: unknown;
}

/** Everything an answer consists of. */
export interface Plan {
  id: string;
  created: number;
  model: string;
  /** Content in the pieces in which it is streamed; each choice gets the same. */
  pieces: string[];
  choices: number;
  finish: "stop" | "length" | "tool_calls";
  tool: { id: string; name: string; pieces: string[] } | undefined;
  usage: object | undefined;
  includeUsage: boolean;
  paceMs: number;
  directives: Directives;
}

const DEFAULT_CHUNK_BYTES = 1_048_576;
const DEFAULT_HUGE = 100_000_000;

function usageOf(prompt: number, completion: number, parts = { cached: 0, cacheWrite: 0, reasoning: 0 }): object {
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: {
      cached_tokens: parts.cached,
      audio_tokens: 0,
      ...(parts.cacheWrite ? { cache_write_tokens: parts.cacheWrite } : {}),
    },
    completion_tokens_details: {
      reasoning_tokens: parts.reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

const BAD_USAGE: Record<string, object> = {
  negative: { prompt_tokens: -5, completion_tokens: -7, total_tokens: -12 },
  text: { prompt_tokens: "12", completion_tokens: "many", total_tokens: "12" },
  float: { prompt_tokens: 1.5, completion_tokens: 2.25, total_tokens: 3.75 },
  null: { prompt_tokens: null, completion_tokens: null, total_tokens: null },
};

/** The usage to report: undefined for none. */
function reportedUsage(directives: Directives, count: () => { prompt: number; completion: number }): object | undefined {
  const { faults, usage } = directives;
  if (faults.no_usage) return undefined;
  if (faults.zero_usage) return usageOf(0, 0);
  if (faults.huge_usage) {
    const tokens = Number(faults.huge_usage["tokens"] ?? DEFAULT_HUGE);
    return usageOf(tokens, tokens);
  }
  if (faults.bad_usage) return BAD_USAGE[faults.bad_usage["kind"] ?? "negative"] ?? BAD_USAGE["negative"];
  if (usage) return usageOf(usage.prompt, usage.completion, usage);
  const { prompt, completion } = count();
  return usageOf(prompt, completion);
}

function piecesOf(question: string, directives: Directives): string[] {
  const { faults, chunks } = directives;
  if (faults.tiny_events) return Array.from({ length: Number(faults.tiny_events["count"] ?? 10_000) }, (_, i) => "abcdefghij"[i % 10]!);
  const pieces = answerPieces(question, { count: chunks, beyondAscii: faults.split_utf8 !== undefined });
  if (faults.big_event)
    pieces.splice(1, 0, "large piece ".repeat(Math.ceil(Number(faults.big_event["bytes"] ?? DEFAULT_CHUNK_BYTES) / 12)));
  return pieces;
}

const positive = (value: unknown): number | undefined => (typeof value === "number" && value > 0 ? Math.floor(value) : undefined);

/** Decides the whole answer to a request before its first byte. */
export function planAnswer(request: ChatRequest, directives: Directives, defaultPaceMs: number): Plan {
  const { faults } = directives;
  const lastUser = request.messages.findLast((message) => message.role === "user") ?? request.messages.at(-1);
  let pieces = piecesOf(stripDirectives(textOf(lastUser)), directives);
  let finish: Plan["finish"] = "stop";
  const cap = positive(request.max_completion_tokens) ?? positive(request.max_tokens);
  const exact = directives.usage ?? directives.chunks ?? faults.tiny_events ?? faults.big_event;
  // What was told exactly is not cut.
  const cut = cap === undefined || exact !== undefined ? undefined : cutToTokens(pieces.join(""), cap);
  if (cut !== undefined) {
    pieces = cut.split(/(?<=\s)/);
    finish = "length";
  }
  const choices = Math.min(positive(request.n) ?? 1, 16);
  const toolArguments = ['{"ci', 'ty":"Par', 'is","unit":', '"celsius"}'];
  const tool =
    directives.tool === undefined
      ? undefined
      : { id: `call_${randomBytes(9).toString("hex")}`, name: directives.tool, pieces: toolArguments };
  return {
    id: `chatcmpl-${randomBytes(12).toString("hex")}`,
    created: Math.floor(Date.now() / 1_000),
    model: request.model,
    pieces: tool ? [] : pieces,
    choices,
    finish: tool ? "tool_calls" : finish,
    tool,
    usage: reportedUsage(directives, () => ({
      prompt: promptTokens(request.messages, request.tools),
      completion: choices * tokensOf(tool ? tool.name + toolArguments.join("") : pieces.join("")),
    })),
    includeUsage: request.stream_options?.include_usage === true,
    paceMs: directives.paceMs ?? (directives.faults.tiny_events ? 0 : defaultPaceMs),
    directives,
  };
}
