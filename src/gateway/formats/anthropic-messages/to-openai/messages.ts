import { wordOf } from "../../checks.ts";
import type { Fields } from "../../checks.ts";
import { dataUrl } from "../../conversion/dataUrl.ts";

const textPart = (text: unknown): Fields[] => (typeof text === "string" && text !== "" ? [{ type: "text", text }] : []);

function imagePart(source: Fields): Fields {
  const url =
    source["type"] === "base64"
      ? dataUrl({ mediaType: wordOf(source["media_type"]), data: wordOf(source["data"]) })
      : wordOf(source["url"]);
  return { type: "image_url", image_url: { url } };
}

function documentParts(block: Fields): Fields[] {
  const source = block["source"] as Fields;
  const title = typeof block["title"] === "string" ? block["title"] : undefined;
  const about = [...textPart(title), ...textPart(block["context"])];
  switch (source["type"]) {
    case "text":
      return [...about, ...textPart(source["data"])];
    case "content":
      return [...about, ...partsOf(source["content"])];
    default: {
      const file_data = dataUrl({ mediaType: wordOf(source["media_type"]), data: wordOf(source["data"]) });
      return [...textPart(block["context"]), { type: "file", file: { filename: title ?? "document.pdf", file_data } }];
    }
  }
}

/** What a user may say, as parts. */
function partsOf(content: unknown): Fields[] {
  if (!Array.isArray(content)) return textPart(content);
  return (content as Fields[]).flatMap((block) => {
    switch (block["type"]) {
      case "text":
        return textPart(block["text"]);
      case "image":
        return [imagePart(block["source"] as Fields)];
      case "document":
        return documentParts(block);
      default:
        return [];
    }
  });
}

const isText = ({ type }: Fields): boolean => type === "text";

/** One text as text, which every vendor takes; anything else as a list. */
const contentOf = (parts: Fields[]): unknown => (parts.length === 1 && isText(parts[0]!) ? parts[0]!["text"] : parts);

const textOf = (parts: Fields[]): string =>
  parts
    .filter((part) => isText(part))
    .map((part) => part["text"])
    .join("\n");

/** The result of a tool, and apart from it what only a user may show: pictures and files. */
function toolMessage(block: Fields): { message: Fields; shown: Fields[] } {
  const parts = partsOf(block["content"]);
  const text = textOf(parts);
  const content = block["is_error"] === true ? `Error: ${text}` : text;
  return { message: { role: "tool", tool_call_id: block["tool_use_id"], content }, shown: parts.filter((part) => !isText(part)) };
}

function userMessages(content: unknown): Fields[] {
  const blocks = Array.isArray(content) ? (content as Fields[]) : [];
  const results = blocks.filter(({ type }) => type === "tool_result").map((block) => toolMessage(block));
  const parts = [...results.flatMap(({ shown }) => shown), ...partsOf(content)];
  return [...results.map(({ message }) => message), ...(parts.length > 0 ? [{ role: "user", content: contentOf(parts) }] : [])];
}

/** Thinking of earlier turns stays behind: OpenAI's vendors take none back. */
function assistantMessage(content: unknown): Fields[] {
  const parts = partsOf(content);
  const blocks = Array.isArray(content) ? (content as Fields[]) : [];
  const calls = blocks
    .filter(({ type }) => type === "tool_use")
    .map(({ id, name, input }) => ({ id, type: "function", function: { name, arguments: JSON.stringify(input) } }));
  if (parts.length === 0 && calls.length === 0) return [];
  return [{ role: "assistant", content: parts.length === 0 ? null : contentOf(parts), ...(calls.length > 0 && { tool_calls: calls }) }];
}

const systemMessage = (content: unknown): Fields[] => {
  const text = Array.isArray(content) ? (content as Fields[]).map((block) => wordOf(block["text"])).join("\n\n") : content;
  return typeof text === "string" && text !== "" ? [{ role: "system", content: text }] : [];
};

/** A conversation as OpenAI has it: results of tools in messages of their own, before what the user says beside them. */
export function convertMessages(system: unknown, messages: Fields[]): Fields[] {
  return [
    ...systemMessage(system),
    ...messages.flatMap(({ role, content }) => {
      if (role === "system") return systemMessage(content);
      return role === "assistant" ? assistantMessage(content) : userMessages(content);
    }),
  ];
}
