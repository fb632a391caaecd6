import { countTokens, decode, encode } from "gpt-tokenizer/encoding/o200k_base";

/** What is read of a message. */
export interface Message {
  role?: unknown;
  content?: unknown;
  name?: unknown;
}

/** The text of a message, whose content is a string or a list of parts. */
export function textOf(message: Message | undefined): string {
  if (typeof message?.content === "string") return message.content;
  if (!Array.isArray(message?.content)) return "";
  return message.content.map((part: { text?: unknown }) => (typeof part?.text === "string" ? part.text : "")).join("");
}

const PER_MESSAGE = 3;
const PRIMING = 3;

/** Prompt tokens as OpenAI counts them for chat models: three and the role for each message, three for the answer's beginning. */
export function promptTokens(messages: readonly Message[], tools: unknown): number {
  const inMessages = messages.reduce(
    (sum, message) => sum + PER_MESSAGE + countTokens(String(message.role ?? "")) + countTokens(textOf(message)),
    0,
  );
  return PRIMING + inMessages + (tools === undefined ? 0 : countTokens(JSON.stringify(tools)));
}

export function tokensOf(text: string): number {
  return countTokens(text);
}

/** The beginning of a text that has at most `limit` tokens, or undefined when it has no more. */
export function cutToTokens(text: string, limit: number): string | undefined {
  const tokens = encode(text);
  return tokens.length <= limit ? undefined : decode(tokens.slice(0, limit)).replace(/\uFFFD+$/, "");
}
