import { randomBytes } from "node:crypto";
import { countsOf, sum, usageField, type Counts } from "../content/counts.ts";
import { openaiImageTokens, sizeOfSource } from "../content/pictures.ts";
import { planContent, positive, type Content, type Question, type ToolDefinition } from "../content/plan.ts";
import { lastUserText, textOf, tokensOf, tokensOfJson } from "../content/tokens.ts";
import type { Asked } from "../endpoint.ts";

/** Everything a response consists of. */
export interface ResponsePlan {
  id: string;
  created: number;
  body: Record<string, unknown>;
  content: Content;
  counts: Counts | "none" | "shape";
  /** Ids of the output items, without their prefix. */
  itemIds: string[];
}

interface InputItem {
  type?: string;
  role?: string;
  content?: unknown;
  output?: unknown;
}

interface ToolParam {
  type?: string;
  name?: string;
  parameters?: unknown;
}

const PER_ITEM = 4;
const USUAL_THOUGHTS = 6;

function partTokens(content: unknown): number {
  if (!Array.isArray(content)) return 0;
  return content.reduce((total: number, part: { type?: string; image_url?: unknown; detail?: unknown } | null) => {
    return part?.type === "input_image" ? total + openaiImageTokens(sizeOfSource(String(part.image_url ?? "")), part.detail) : total;
  }, 0);
}

function itemTokens(item: InputItem): number {
  const said = item.content === undefined ? tokensOfJson(item) : tokensOf(textOf(item.content)) + partTokens(item.content);
  return PER_ITEM + said;
}

/** Input tokens of a request, without those of the response that it continues. */
export function inputTokens({ input, instructions, tools }: Record<string, unknown>): number {
  const items = Array.isArray(input)
    ? (input as InputItem[]).reduce((total, item) => total + itemTokens(item), 0)
    : PER_ITEM + tokensOf(String(input ?? ""));
  return items + tokensOf(String(instructions ?? "")) + tokensOfJson(tools);
}

/** What the user says last, where directives are read from. */
export function promptOf({ input }: Record<string, unknown>): string {
  return typeof input === "string" ? input : lastUserText(input);
}

const definitions = (tools: unknown): ToolDefinition[] =>
  Array.isArray(tools)
    ? (tools as ToolParam[]).filter((tool) => tool.type === "function").map((tool) => ({ name: tool.name ?? "", schema: tool.parameters }))
    : [];

function mustCall(choice: unknown): Question["mustCall"] {
  return choice === "required" || ((choice as ToolParam | null | undefined)?.name ?? undefined);
}

function schemaOf(text: unknown): unknown {
  const { format } = (text ?? {}) as { format?: { type?: string; schema?: unknown } };
  return format?.type === "json_schema" ? format.schema : undefined;
}

/** Decides the whole response before its first byte. `earlier`: input tokens of what it continues. */
export function planResponse({ body, directives }: Asked, earlier: number): ResponsePlan {
  const summary = (body["reasoning"] as { summary?: unknown } | null | undefined)?.summary;
  const reasoning = directives.reasoning ?? (summary ? USUAL_THOUGHTS : undefined);
  const content = planContent({
    text: promptOf(body),
    directives: reasoning === undefined ? directives : { ...directives, reasoning },
    cap: positive(body["max_output_tokens"]),
    tools: definitions(body["tools"]),
    mustCall: mustCall(body["tool_choice"]),
    schema: schemaOf(body["text"]),
  });
  const items = (content.reasoning.length > 0 ? 1 : 0) + (content.pieces.length > 0 ? 1 : 0) + content.tools.length;
  return {
    id: `resp_${randomBytes(16).toString("hex")}`,
    created: Math.floor(Date.now() / 1_000),
    body,
    content,
    counts: countsOf(directives, () => ({ prompt: earlier + inputTokens(body), ...content.tokens })),
    itemIds: Array.from({ length: items }, () => randomBytes(16).toString("hex")),
  };
}

/** Usage as the Responses API writes it. */
export function responseUsage(plan: ResponsePlan): { usage?: unknown } {
  return usageField(plan.counts, (counts) => ({
    input_tokens: counts.prompt,
    input_tokens_details: { cached_tokens: counts.cached, cache_write_tokens: counts.cacheWrite },
    output_tokens: counts.completion,
    output_tokens_details: { reasoning_tokens: counts.reasoning },
    total_tokens: sum(counts.prompt, counts.completion),
  }));
}
