import { countTokens, decode, encode } from "gpt-tokenizer/encoding/o200k_base";

/** What is read of a message. */
export interface Message {
  role?: unknown;
  content?: unknown;
}

interface Part {
  type?: unknown;
  text?: unknown;
}

/** The text of a message's content, which is a string or a list of parts. */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part: Part | null) => (typeof part?.text === "string" ? part.text : "")).join("");
}

/** The text of the last message of the user, where directives are read from. */
export function lastUserText(messages: unknown): string {
  if (!Array.isArray(messages)) return "";
  const list = messages as (Message | null)[];
  return textOf((list.findLast((message) => message?.role === "user") ?? list.at(-1))?.content);
}

export function tokensOf(text: string): number {
  return countTokens(text);
}

/** The beginning of a text that has at most `limit` tokens, or undefined when it has no more. */
export function cutToTokens(text: string, limit: number): string | undefined {
  const tokens = encode(text);
  return tokens.length <= limit ? undefined : decode(tokens.slice(0, limit)).replace(/\uFFFD+$/, "");
}

/** Tokens of a JSON value such as a tool's definition, 0 for none. */
export function tokensOfJson(value: unknown): number {
  return value === undefined || value === null ? 0 : countTokens(JSON.stringify(value));
}
