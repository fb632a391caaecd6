import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { isObject, type Fields, wordOf } from "../checks.ts";

/** The same framing and images as a chat has, see openai-chat/prompt.ts. */
const PER_ITEM = 4;
const PER_ANSWER = 3;
const IMAGE_LOW = 85;
const IMAGE_HIGH = 1_600;
/** A file the provider fetches itself; nobody here has seen it. About ten pages. */
const FILE_BY_ADDRESS = 10_000;

/** Prompt tokens of a validated request, without what the provider adds of earlier answers. */
export function countPrompt(body: Fields, tokenizer: Tokenizer, budget: Budget): number {
  const text = (value: unknown): number => (typeof value === "string" ? tokenizer.count(value, budget) : 0);
  const json = (value: unknown): number =>
    value === undefined || value === null ? 0 : tokenizer.count(typeof value === "string" ? value : (JSON.stringify(value) ?? ""), budget);

  const part = (value: unknown): number => {
    if (!isObject(value)) return json(value);
    if (typeof value["text"] === "string" || typeof value["refusal"] === "string") return text(value["text"]) + text(value["refusal"]);
    if (/image|screenshot/.test(wordOf(value["type"]))) return value["detail"] === "low" ? IMAGE_LOW : IMAGE_HIGH;
    if (typeof value["file_url"] === "string") return FILE_BY_ADDRESS;
    return bySize(value);
  };
  const parts = (value: unknown): number => {
    if (Array.isArray(value)) return (value as unknown[]).reduce<number>((sum, each) => sum + part(each), 0);
    return isObject(value) ? part(value) : json(value);
  };
  const item = (value: Fields): number => {
    if (typeof value["encrypted_content"] === "string") return bySize(value);
    let tokens =
      text(value["name"]) + text(value["arguments"]) + parts(value["content"]) + parts(value["output"]) + parts(value["summary"]);
    for (const name in value) if (!READ.has(name)) tokens += bySize(value[name]);
    return tokens;
  };

  let tokens =
    PER_ANSWER + json(body["instructions"]) + json(body["tools"]) + json((body["text"] as Fields | null | undefined)?.["format"]);
  const { input } = body;
  if (typeof input === "string") return tokens + PER_ITEM + text(input);
  for (const each of (input ?? []) as Fields[]) tokens += PER_ITEM + item(each);
  return tokens;
}

/** Fields of an item that are counted as what they are, or are not read by the model. */
const READ = new Set(["type", "id", "role", "status", "call_id", "name", "arguments", "content", "output", "summary", "phase"]);

/** Base64 is four characters for three bytes; a token covers at least three bytes of most documents. */
const bySize = (value: unknown): number => Math.ceil((JSON.stringify(value)?.length ?? 0) / 4);
