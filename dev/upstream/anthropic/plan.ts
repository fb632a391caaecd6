import { randomBytes } from "node:crypto";
import { countsOf, type Counts } from "../content/counts.ts";
import { planContent, positive, wordsOf, type Content, type Question, type ToolDefinition } from "../content/plan.ts";
import { lastUserText } from "../content/tokens.ts";
import type { Directives } from "../control/directives.ts";
import type { Asked } from "../endpoint.ts";
import { inputTokens } from "./count.ts";

/** Everything a message consists of. */
export interface MessagePlan {
  id: string;
  model: string;
  content: Content;
  signature: string;
  stopReason: string;
  counts: Counts | "none" | "shape";
  directives: Directives;
}

interface ToolParam {
  name?: string;
  input_schema?: unknown;
}

const USUAL_THOUGHTS = 6;
const STOP_REASONS = { stop: "end_turn", length: "max_tokens", tools: "tool_use", refusal: "refusal", stop_sequence: "stop_sequence" };

const definitions = (tools: unknown): ToolDefinition[] =>
  Array.isArray(tools) ? (tools as ToolParam[]).map((tool) => ({ name: tool.name ?? "", schema: tool.input_schema })) : [];

function mustCall(choice: unknown): Question["mustCall"] {
  const { type, name } = (choice ?? {}) as { type?: string; name?: string };
  return type === "tool" ? name : type === "any" || undefined;
}

function thoughtsOf(thinking: unknown, directives: Directives): number | undefined {
  const type = (thinking as { type?: string } | null | undefined)?.type;
  return directives.reasoning ?? (type === "enabled" || type === "adaptive" ? USUAL_THOUGHTS : undefined);
}

/** Decides the whole message before its first byte. */
export function planMessage({ body, directives }: Asked): MessagePlan {
  const reasoning = thoughtsOf(body["thinking"], directives);
  const content = planContent({
    text: lastUserText(body["messages"]),
    directives: reasoning === undefined ? directives : { ...directives, reasoning },
    cap: positive(body["max_tokens"]),
    tools: definitions(body["tools"]),
    mustCall: mustCall(body["tool_choice"]),
    schema: (body["output_config"] as { format?: { schema?: unknown } } | undefined)?.format?.schema,
    stop: wordsOf(body["stop_sequences"]),
  });
  return {
    id: `msg_${randomBytes(12).toString("hex")}`,
    model: body["model"] as string,
    content,
    signature: randomBytes(24).toString("base64"),
    stopReason: directives.finish ?? STOP_REASONS[content.end],
    counts: countsOf(directives, () => ({ prompt: inputTokens(body), ...content.tokens })),
    directives,
  };
}
