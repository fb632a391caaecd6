import { Attachments, sizeOfOthers } from "../../attachments/index.ts";
import type { PromptCount, PromptModel } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { wordOf, type Fields } from "../checks.ts";
import { inlineOf } from "../inline.ts";
import { MESSAGES_FIELDS } from "./fields.ts";
import { UNPRICED_FIELDS } from "./unpriced.ts";

/** Around each message, and before the answer, the vendor puts a few tokens of its own. */
const PER_MESSAGE = 4;
const PER_ANSWER = 3;
/** The vendor's own instructions for tools (its price list: 264 to 346 tokens), and for each of its own tools (245 to 735). */
const TOOLS = 346;
const PER_VENDOR_TOOL = 735;

/** Fields that are counted as what they are, or that no model reads. */
const KNOWN = new Set([
  "model",
  "messages",
  "system",
  "tools",
  "tool_choice",
  "thinking",
  ...Object.keys(MESSAGES_FIELDS),
  ...Object.keys(UNPRICED_FIELDS),
]);

/** Prompt tokens of a validated messages request. Pictures and documents count by the model's rules. */
export function countPrompt(body: Fields, tokenizer: Tokenizer, budget: Budget, model: PromptModel): number | PromptCount {
  let attachments: Attachments | undefined;
  const attached = (): Attachments => (attachments ??= new Attachments(model));
  const count = (value: unknown): number => {
    if (value === undefined || value === null) return 0;
    return tokenizer.count(typeof value === "string" ? value : (JSON.stringify(value) ?? ""), budget);
  };

  const countBlocks = (content: unknown): number =>
    Array.isArray(content) ? (content as Fields[]).reduce((sum, block) => sum + countBlock(block), 0) : count(content);

  function countBlock(block: Fields): number {
    switch (block["type"]) {
      case "text":
        return count(block["text"]);
      case "image":
        attached().image(dataOf(block["source"] as Fields), undefined);
        return 0;
      case "document":
        return count(block["title"]) + count(block["context"]) + countSource(block["source"] as Fields);
      case "thinking":
        return count(block["thinking"]);
      case "redacted_thinking":
        return Math.ceil(wordOf(block["data"]).length / 4);
      case "tool_use":
        return count(block["name"]) + count(block["input"]);
      case "tool_result":
        return PER_MESSAGE + countBlocks(block["content"]);
      default:
        return attached().unknown(block);
    }
  }

  function countSource(source: Fields): number {
    switch (source["type"]) {
      case "text":
        return count(source["data"]);
      case "content":
        return countBlocks(source["content"]);
      default:
        attached().file(dataOf(source));
        return 0;
    }
  }

  let tokens = PER_ANSWER + countBlocks(body["system"]);
  for (const message of body["messages"] as Fields[]) tokens += PER_MESSAGE + countBlocks(message["content"]);
  const tools = (body["tools"] ?? []) as Fields[];
  if (tools.length > 0) tokens += TOOLS;
  for (const tool of tools) tokens += (tool["type"] ?? "custom") === "custom" ? count(tool) : PER_VENDOR_TOOL;
  tokens += count(body["output_config"]) + count(body["output_format"]);
  tokens += sizeOfOthers(body, KNOWN);
  return attachments ? attachments.withText(tokens) : tokens;
}

/** What a picture or document holds; nothing of one behind a link. */
const dataOf = (source: Fields): string | undefined => (source["type"] === "url" ? undefined : inlineOf(source["data"]));
