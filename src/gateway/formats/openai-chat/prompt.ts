import { wordOf } from "../checks.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";

/** Around each message, and before the answer, the vendor puts a few tokens of its own (OpenAI's cookbook: 3 and 3, 1 for a name). */
const PER_MESSAGE = 4;
const PER_ANSWER = 3;
/** An image at low detail costs 85 tokens with OpenAI; at high detail at most 1,445, with others about 1,600. */
const IMAGE_LOW = 85;
const IMAGE_HIGH = 1_600;

type Fields = Record<string, unknown>;

/** Prompt tokens of a validated chat request. Images count by a fixed rule, other attachments by size. */
export function countPrompt(body: Fields, tokenizer: Tokenizer, budget: Budget): number {
  let tokens = PER_ANSWER;
  const add = (value: unknown): void => {
    if (typeof value === "string") tokens += tokenizer.count(value, budget);
    else if (value !== null && value !== undefined) tokens += tokenizer.count(JSON.stringify(value) ?? "", budget);
  };
  for (const message of body["messages"] as Fields[]) {
    tokens += PER_MESSAGE;
    for (const name in message) {
      const value = message[name];
      if (name === "role") continue;
      if (name === "content" && Array.isArray(value)) for (const part of value as Fields[]) tokens += countPart(part, tokenizer, budget);
      else add(value);
    }
  }
  add(body["tools"]);
  add(body["functions"]);
  add(body["response_format"]);
  return tokens;
}

function countPart(part: Fields, tokenizer: Tokenizer, budget: Budget): number {
  switch (part["type"]) {
    case "text":
    case "refusal":
      return tokenizer.count(wordOf(part["text"] ?? part["refusal"]), budget);
    case "image_url":
      return (part["image_url"] as Fields)["detail"] === "low" ? IMAGE_LOW : IMAGE_HIGH;
    default:
      // Base64 is four characters for three bytes; a token covers at least three bytes of most documents.
      return Math.ceil((JSON.stringify(part)?.length ?? 0) / 4);
  }
}
