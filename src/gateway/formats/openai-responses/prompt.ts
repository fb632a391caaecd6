import { Attachments, bySize, sizeOfOthers } from "../../attachments/index.ts";
import type { PromptCount, PromptModel } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { isObject, type Fields, wordOf } from "../checks.ts";
import { inlineOf } from "../inline.ts";
import { RESPONSE_FIELDS } from "./fields.ts";

/** The same framing as a chat has, see openai-chat/prompt.ts. */
const PER_ITEM = 4;
const PER_ANSWER = 3;

/** Prompt tokens of a validated request, without what the provider adds of earlier answers. Pictures and files count by the model's rules. */
export function countPrompt(body: Fields, tokenizer: Tokenizer, budget: Budget, model: PromptModel): number | PromptCount {
  let attachments: Attachments | undefined;
  const attached = (): Attachments => (attachments ??= new Attachments(model));
  const text = (value: unknown): number => (typeof value === "string" ? tokenizer.count(value, budget) : 0);
  const json = (value: unknown): number =>
    value === undefined || value === null ? 0 : tokenizer.count(typeof value === "string" ? value : (JSON.stringify(value) ?? ""), budget);

  const part = (value: unknown): number => {
    if (!isObject(value)) return json(value);
    if (typeof value["text"] === "string" || typeof value["refusal"] === "string") return text(value["text"]) + text(value["refusal"]);
    if (/image|screenshot/.test(wordOf(value["type"]))) attached().image(inlineOf(value["image_url"]), value["detail"]);
    else if (/file/.test(wordOf(value["type"]))) attached().file(inlineOf(value["file_data"]));
    else return attached().unknown(value);
    return 0;
  };
  const parts = (value: unknown): number => {
    if (Array.isArray(value)) return (value as unknown[]).reduce<number>((sum, each) => sum + part(each), 0);
    return isObject(value) ? part(value) : json(value);
  };
  const item = (value: Fields): number => {
    if (typeof value["encrypted_content"] === "string") return bySize(value);
    if (value["type"] === "image_generation_call") {
      attached().image(inlineOf(value["result"]), undefined);
      return 0;
    }
    let tokens =
      text(value["name"]) + text(value["arguments"]) + parts(value["content"]) + parts(value["output"]) + parts(value["summary"]);
    for (const name in value) if (!READ.has(name)) tokens += bySize(value[name]);
    return tokens;
  };

  let tokens =
    PER_ANSWER + json(body["instructions"]) + json(body["tools"]) + json((body["text"] as Fields | null | undefined)?.["format"]);
  tokens += sizeOfOthers(body, KNOWN);
  const { input } = body;
  if (typeof input === "string") return tokens + PER_ITEM + text(input);
  for (const each of (input ?? []) as Fields[]) tokens += PER_ITEM + item(each);
  return attachments ? attachments.withText(tokens) : tokens;
}

/** Fields of an item that are counted as what they are, or are not read by the model. */
const READ = new Set(["type", "id", "role", "status", "call_id", "name", "arguments", "content", "output", "summary", "phase"]);

/** Fields of the request of the same kinds. */
const KNOWN = new Set(["model", "input", ...Object.keys(RESPONSE_FIELDS)]);
