import { randomBytes } from "node:crypto";
import { countsOf, type Counts } from "../content/counts.ts";
import { openaiImageTokens, sizeOfSource } from "../content/pictures.ts";
import { planContent, positive, wordsOf, type Content, type Question, type ToolDefinition } from "../content/plan.ts";
import { lastUserText, textOf, tokensOf, tokensOfJson, type Message } from "../content/tokens.ts";
import type { Directives } from "../control/directives.ts";
import type { Asked } from "../endpoint.ts";

/** Everything an answer consists of. Each choice says the same. */
export interface ChatPlan {
  id: string;
  created: number;
  model: string;
  choices: number;
  content: Content;
  finish: string;
  counts: Counts | "none" | "shape";
  includeUsage: boolean;
  logprobs: boolean;
  directives: Directives;
}

interface ToolParam {
  type?: string;
  function?: { name?: string; parameters?: unknown };
}

const PER_MESSAGE = 3;
const PRIMING = 3;
const MOST_CHOICES = 16;
const FINISH = { stop: "stop", length: "length", tools: "tool_calls", refusal: "stop", stop_sequence: "stop" };

function imageTokens(content: unknown): number {
  if (!Array.isArray(content)) return 0;
  return content.reduce((sum: number, part: { type?: unknown; image_url?: { url?: unknown; detail?: unknown } } | null) => {
    if (part?.type !== "image_url") return sum;
    return sum + openaiImageTokens(sizeOfSource(String(part.image_url?.url ?? "")), part.image_url?.detail);
  }, 0);
}

/** Prompt tokens as OpenAI counts them for chat models: three and the role for each message, three for the answer's beginning. */
export function promptTokens(messages: readonly (Message & { tool_calls?: unknown })[], tools: unknown): number {
  const inMessages = messages.reduce(
    (sum, { role, content, tool_calls: calls }) =>
      sum + PER_MESSAGE + tokensOf(String(role ?? "")) + tokensOf(textOf(content)) + imageTokens(content) + tokensOfJson(calls),
    0,
  );
  return PRIMING + inMessages + tokensOfJson(tools);
}

const definitions = (tools: unknown): ToolDefinition[] =>
  Array.isArray(tools)
    ? (tools as ToolParam[]).map((tool) => ({ name: tool.function?.name ?? "", schema: tool.function?.parameters }))
    : [];

function mustCall(choice: unknown): Question["mustCall"] {
  return choice === "required" || ((choice as ToolParam | null | undefined)?.function?.name ?? undefined);
}

function schemaOf(format: unknown): unknown {
  const { type, json_schema: named } = (format ?? {}) as { type?: string; json_schema?: { schema?: unknown } };
  if (type === "json_schema") return named?.schema ?? {};
  return type === "json_object" ? { type: "object", properties: { answer: { type: "string" } } } : undefined;
}

/** Decides the whole answer to a request before its first byte. */
export function planChat({ body, directives }: Asked): ChatPlan {
  const messages = body["messages"] as Message[];
  const choices = Math.min(positive(body["n"]) ?? 1, MOST_CHOICES);
  const content = planContent({
    text: lastUserText(messages),
    directives,
    cap: positive(body["max_completion_tokens"]) ?? positive(body["max_tokens"]),
    tools: definitions(body["tools"]),
    mustCall: mustCall(body["tool_choice"]),
    schema: schemaOf(body["response_format"]),
    stop: wordsOf(body["stop"]),
  });
  return {
    id: `chatcmpl-${randomBytes(12).toString("hex")}`,
    created: Math.floor(Date.now() / 1_000),
    model: body["model"] as string,
    choices,
    content,
    finish: directives.finish ?? FINISH[content.end],
    counts: countsOf(directives, () => ({
      prompt: promptTokens(messages, body["tools"]),
      completion: choices * content.tokens.completion,
      reasoning: choices * content.tokens.reasoning,
    })),
    includeUsage: (body["stream_options"] as { include_usage?: unknown } | null | undefined)?.include_usage === true,
    logprobs: body["logprobs"] === true,
    directives,
  };
}
