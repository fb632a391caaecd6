import { Attachments, sizeOfOthers } from "../../attachments/index.ts";
import type { PromptCount, PromptModel } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { isObject, objectsIn, wordOf, type Fields } from "../checks.ts";
import { inlineOf } from "../inline.ts";
import { CHAT_FIELDS } from "./fields.ts";

/** Around each message, and before the answer, the vendor puts a few tokens of its own (OpenAI's cookbook: 3 and 3, 1 for a name). */
const PER_MESSAGE = 4;
const PER_ANSWER = 3;

/** Fields that are counted as what they are, or that no model reads. */
const NO_PROMPT = new Set(["model", "messages", "prediction", ...Object.keys(CHAT_FIELDS)]);

/** Prompt tokens of a validated chat request. Pictures, files and videos count by the model's rules. */
export function countPrompt(body: Fields, tokenizer: Tokenizer, budget: Budget, model: PromptModel): number | PromptCount {
  let tokens = PER_ANSWER;
  let attachments: Attachments | undefined;
  const add = (value: unknown): void => {
    if (typeof value === "string") tokens += tokenizer.count(value, budget);
    else if (value !== null && value !== undefined) tokens += tokenizer.count(JSON.stringify(value) ?? "", budget);
  };
  for (const message of body["messages"] as Fields[]) {
    tokens += PER_MESSAGE;
    for (const name in message) {
      const value = message[name];
      if (name === "role") continue;
      if (name !== "content" || !Array.isArray(value)) add(value);
      else {
        for (const part of value as Fields[]) {
          const text = textOf(part);
          if (text !== undefined) tokens += tokenizer.count(text, budget);
          else tokens += attach(part, (attachments ??= new Attachments(model)));
        }
      }
    }
  }
  add(body["tools"]);
  add(body["functions"]);
  add(body["response_format"]);
  // Documents, templates and other things that vendors put into the prompt.
  tokens += sizeOfOthers(body, NO_PROMPT);
  const counted = attachments ? attachments.withText(tokens) : tokens;
  const { prediction } = body;
  return isObject(prediction) ? withPrediction(counted, countPredicted(prediction["content"], tokenizer, budget)) : counted;
}

/** What of a predicted answer is not used is charged as output (https://platform.openai.com/docs/guides/predicted-outputs). */
const withPrediction = (counted: number | PromptCount, besideAnswer: number): PromptCount =>
  typeof counted === "number" ? { tokens: counted, unseen: 0, besideAnswer } : { ...counted, besideAnswer };

const countPredicted = (content: unknown, tokenizer: Tokenizer, budget: Budget): number =>
  typeof content === "string"
    ? tokenizer.count(content, budget)
    : objectsIn(content).reduce((sum, part) => sum + tokenizer.count(wordOf(part["text"]), budget), 0);

function textOf(part: Fields): string | undefined {
  return part["type"] === "text" || part["type"] === "refusal" ? wordOf(part["text"] ?? part["refusal"]) : undefined;
}

/** Adds what a part brings along; returns the tokens of a part of no known kind. */
function attach(part: Fields, attachments: Attachments): number {
  const held = part[wordOf(part["type"])];
  const { url, detail, file_data: data } = isObject(held) ? held : ({ url: held } as Fields);
  switch (part["type"]) {
    case "image_url":
      attachments.image(inlineOf(url), detail);
      return 0;
    case "video_url":
      attachments.video(inlineOf(url));
      return 0;
    case "video":
      // A list of its pictures.
      if (!Array.isArray(held)) attachments.video(inlineOf(url));
      else for (const picture of held as unknown[]) attachments.image(inlineOf(isObject(picture) ? picture["url"] : picture), undefined);
      return 0;
    case "file":
      attachments.file(inlineOf(data));
      return 0;
    default:
      return attachments.unknown(part);
  }
}
