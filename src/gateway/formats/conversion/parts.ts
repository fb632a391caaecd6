import { isObject, objectsIn } from "../checks.ts";

const join = (parts: unknown): string =>
  typeof parts === "string"
    ? parts
    : objectsIn(parts).reduce((text, part) => text + (typeof part["text"] === "string" ? part["text"] : ""), "");

/** What a message or delta of OpenAI's format says and thinks. Some vendors (Mistral) send its content as a list of parts. */
export function saidIn(content: unknown): { text: string; thinking: string } {
  if (!Array.isArray(content)) return { text: typeof content === "string" ? content : "", thinking: "" };
  let [text, thinking] = ["", ""];
  for (const part of content as unknown[]) {
    if (!isObject(part)) continue;
    if (part["type"] === "thinking") thinking += join(part["thinking"]);
    else if (typeof part["text"] === "string") text += part["text"];
  }
  return { text, thinking };
}
