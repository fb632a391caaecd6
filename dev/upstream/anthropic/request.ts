import { refuse, type Asked } from "../endpoint.ts";

export interface Block {
  type?: string;
  text?: string;
  source?: { type?: string; data?: string; url?: string };
  content?: unknown;
  input?: unknown;
  citations?: unknown;
  cache_control?: { ttl?: string } | null;
  name?: string;
}

export interface MessageParam {
  role: string;
  content: string | Block[];
}

const VERSIONS = ["2023-06-01", "2026-10-21"];
/** The version that dropped sampling parameters and a few kinds of content. */
const NEW = "2026-10-21";
const GONE = ["temperature", "top_p", "top_k"];
const FIELDS = new Set(
  [
    "model messages max_tokens system metadata stop_sequences stream thinking tool_choice tools cache_control container",
    "diagnostics inference_geo output_config service_tier speed user_profile_id workspace_id temperature top_p top_k",
  ].flatMap((line) => line.split(" ")),
);
const BETA_FIELDS = new Set("compaction context_management fallbacks mcp_servers output_format thread billing_policy".split(" "));
const LEAST_BUDGET = 1_024;

/** The blocks of a message's content, which may be a plain text. */
export function blocksOf(content: MessageParam["content"] | undefined): Block[] {
  return typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []);
}

/** Throws for what Anthropic's Messages API answers with 400. `counting`: no `max_tokens` is wanted. */
export function check({ headers, body }: Asked, counting: boolean): void {
  const version = headers["anthropic-version"];
  if (version === undefined) refuse("anthropic-version: header is required");
  if (!VERSIONS.includes(version)) refuse(`anthropic-version: "${version}" is not a valid version`);
  for (const field of Object.keys(body)) {
    if (!FIELDS.has(field) && !(BETA_FIELDS.has(field) && headers["anthropic-beta"])) refuse(`${field}: Extra inputs are not permitted`);
  }
  if (typeof body["model"] !== "string") refuse("model: Field required");
  if (!counting) checkCap(body);
  checkMessages(body["messages"], version);
  if (version === NEW) for (const field of GONE) if (field in body) refuse(`${field}: not supported by anthropic-version ${NEW}`);
}

function checkCap({ max_tokens: cap, thinking }: Record<string, unknown>): void {
  if (cap === undefined || cap === null) refuse("max_tokens: Field required");
  if (!Number.isInteger(cap) || (cap as number) < 1) refuse("max_tokens: Input should be greater than or equal to 1");
  const { type, budget_tokens: budget } = (thinking ?? {}) as { type?: string; budget_tokens?: number };
  if (type !== "enabled") return;
  if (budget === undefined || budget < LEAST_BUDGET)
    refuse(`thinking.enabled.budget_tokens: Input should be greater than or equal to ${LEAST_BUDGET}`);
  if (budget >= (cap as number)) refuse("`max_tokens` must be greater than `thinking.budget_tokens`.");
}

function checkMessages(messages: unknown, version: string): void {
  if (!Array.isArray(messages)) refuse("messages: Field required");
  if (messages.length === 0) refuse("messages: at least one message is required");
  const roles = version === NEW ? ["user", "assistant", "system"] : ["user", "assistant"];
  for (const [i, { role, content }] of (messages as MessageParam[]).entries()) {
    if (!roles.includes(role)) refuse(`messages.${i}.role: Input should be ${roles.map((one) => `'${one}'`).join(" or ")}`);
    if (typeof content !== "string" && !Array.isArray(content)) refuse(`messages.${i}.content: Input should be a valid list`);
    if (content.length === 0 && i < messages.length - 1) refuse(`messages.${i}: all messages must have non-empty content`);
    for (const [j, block] of blocksOf(content).entries()) checkBlock(block, role, `messages.${i}.content.${j}`, version);
  }
}

function checkBlock(block: Block, role: string, at: string, version: string): void {
  if (typeof block?.type !== "string") refuse(`${at}.type: Field required`);
  if (block.type === "text" && !block.text) refuse(`${at}: text content blocks must be non-empty`);
  if (version !== NEW) return;
  if (role === "assistant" && block.type === "document") refuse(`${at}: document blocks are not supported in assistant messages`);
  if (role === "user" && block.type === "text" && Array.isArray(block.citations) && block.citations.length > 0)
    refuse(`${at}.citations: must be empty in user messages`);
}
