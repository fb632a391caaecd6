import { isObject, objectsIn, type Fields } from "../../checks.ts";
import { readDataUrl } from "../../conversion/dataUrl.ts";
import { readArguments } from "./check.ts";

interface Turn {
  role: "user" | "assistant";
  content: Fields[];
}

const textBlock = (text: unknown, from: Fields = {}): Fields[] =>
  typeof text === "string" && text !== "" ? [{ type: "text", text, ...cacheControl(from) }] : [];

/** Marks for the prompt cache that clients of several vendors send along. */
const cacheControl = (from: Fields): Fields => (isObject(from["cache_control"]) ? { cache_control: from["cache_control"] } : {});

function partBlocks(part: Fields): Fields[] {
  switch (part["type"]) {
    case "image_url": {
      const { url } = part["image_url"] as { url: string };
      return [{ type: "image", source: sourceOf(url), ...cacheControl(part) }];
    }
    case "file": {
      const { filename, file_data } = part["file"] as { filename?: unknown; file_data: string };
      return [
        { type: "document", source: sourceOf(file_data), ...(typeof filename === "string" && { title: filename }), ...cacheControl(part) },
      ];
    }
    default:
      return textBlock(part["text"] ?? part["refusal"], part);
  }
}

function sourceOf(url: string): Fields {
  const inline = readDataUrl(url);
  return inline ? { type: "base64", media_type: inline.mediaType, data: inline.data } : { type: "url", url };
}

const blocksOf = (content: unknown): Fields[] =>
  Array.isArray(content) ? (content as Fields[]).flatMap((part) => partBlocks(part)) : textBlock(content);

/** Thinking that an earlier answer gave signed; without its signature it would be refused. */
function thinkingBlocks(message: Fields): Fields[] {
  return objectsIn(message["thinking_blocks"]).filter(({ type, signature, data }) => {
    if (type === "thinking") return typeof signature === "string" && signature !== "";
    return type === "redacted_thinking" && typeof data === "string";
  });
}

function assistantBlocks(message: Fields): Fields[] {
  const calls = ((message["tool_calls"] ?? []) as Fields[]).map((call) => {
    const called = call["function"] as Fields;
    return { type: "tool_use", id: call["id"], name: called["name"], input: readArguments(called["arguments"]) };
  });
  return [...thinkingBlocks(message), ...blocksOf(message["content"]), ...textBlock(message["refusal"]), ...calls];
}

function toolResult(message: Fields): Fields {
  const { content } = message as { content?: unknown };
  return {
    type: "tool_result",
    tool_use_id: message["tool_call_id"],
    ...(typeof content === "string" ? { content } : { content: blocksOf(content) }),
    ...cacheControl(message),
  };
}

/**
 * A conversation as Anthropic has it: system and developer messages apart, and turns of user and assistant in turn. Results of tools belong
 * to the user's turn and come first in it.
 */
export function convertMessages(messages: Fields[]): { system: Fields[]; messages: Turn[] } {
  const system: Fields[] = [];
  const turns: Turn[] = [];
  const turn = (role: Turn["role"]): Turn => {
    const last = turns.at(-1);
    if (last?.role === role) return last;
    const next: Turn = { role, content: [] };
    turns.push(next);
    return next;
  };
  for (const message of messages) {
    const { role } = message;
    if (role === "system" || role === "developer") system.push(...blocksOf(message["content"]));
    else if (role === "assistant") turn("assistant").content.push(...assistantBlocks(message));
    else if (role === "user") turn("user").content.push(...blocksOf(message["content"]));
    else {
      const { content } = turn("user");
      const results = content.findLastIndex((block) => block["type"] === "tool_result") + 1;
      content.splice(results, 0, toolResult(message));
    }
  }
  const said = turns.filter(({ content }) => content.length > 0);
  // Instructions alone are a question too.
  return said.length > 0 ? { system, messages: said } : { system: [], messages: [{ role: "user", content: system }] };
}
