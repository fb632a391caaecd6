import { isObject, type Fields, type Problem } from "../checks.ts";

const ROLES = new Set(["user", "assistant", "system"]);
const MESSAGES_LIMIT = 100_000;

const isText = (value: unknown): value is string => typeof value === "string";

/** The first thing wrong with a system prompt, or undefined. */
export function checkSystem(system: unknown): Problem | undefined {
  if (system === undefined || system === null || isText(system)) return undefined;
  if (!Array.isArray(system)) return { param: "system", message: "must be text or a list of text blocks" };
  for (const [i, block] of (system as unknown[]).entries()) {
    if (!isObject(block)) return { param: `system[${i}]`, message: "must be an object" };
    if (block["type"] !== "text") return { param: `system[${i}].type`, message: 'must be "text"' };
    if (!isText(block["text"])) return { param: `system[${i}].text`, message: "must be text" };
  }
  return undefined;
}

/** The first thing wrong with the conversation, or undefined. */
export function checkMessages(messages: unknown): Problem | undefined {
  if (messages === undefined) return { param: "messages", message: "is required" };
  if (!Array.isArray(messages)) return { param: "messages", message: "must be a list" };
  if (messages.length === 0) return { param: "messages", message: "must not be empty" };
  if (messages.length > MESSAGES_LIMIT) return { param: "messages", message: `must not hold more than ${MESSAGES_LIMIT}` };
  for (const [i, message] of (messages as unknown[]).entries()) {
    const at = `messages[${i}]`;
    if (!isObject(message)) return { param: at, message: "must be an object" };
    if (!isText(message["role"]) || !ROLES.has(message["role"]))
      return { param: `${at}.role`, message: "must be user, assistant or system" };
    const { content } = message as { content?: unknown };
    if (content === undefined) return { param: `${at}.content`, message: "is required" };
    if (isText(content)) continue;
    if (!Array.isArray(content)) return { param: `${at}.content`, message: "must be text or a list of blocks" };
    const problem = checkBlocks(content, `${at}.content`);
    if (problem) return problem;
  }
  return undefined;
}

function checkBlocks(blocks: unknown[], param: string): Problem | undefined {
  for (const [i, block] of blocks.entries()) {
    const at = `${param}[${i}]`;
    if (!isObject(block)) return { param: at, message: "must be an object" };
    if (!isText(block["type"])) return { param: `${at}.type`, message: "must be text" };
    const problem = checkBlock(block, at);
    if (problem) return problem;
  }
  return undefined;
}

function needText(block: Fields, at: string, ...names: string[]): Problem | undefined {
  const missing = names.find((name) => !isText(block[name]));
  return missing === undefined ? undefined : { param: `${at}.${missing}`, message: "must be text" };
}

/** Blocks of kinds that are not known pass. */
function checkBlock(block: Fields, at: string): Problem | undefined {
  switch (block["type"]) {
    case "text":
      return needText(block, at, "text");
    case "image":
    case "document":
      return checkSource(block["source"], `${at}.source`);
    case "thinking":
      return needText(block, at, "thinking", "signature");
    case "tool_use":
      return (
        needText(block, at, "id", "name") ?? (isObject(block["input"]) ? undefined : { param: `${at}.input`, message: "must be an object" })
      );
    case "tool_result": {
      const { content } = block as { content?: unknown };
      const problem = needText(block, at, "tool_use_id");
      if (problem || content === undefined || content === null || isText(content)) return problem;
      if (!Array.isArray(content)) return { param: `${at}.content`, message: "must be text or a list of blocks" };
      return checkBlocks(content, `${at}.content`);
    }
    case "container_upload":
      return { param: `${at}.type`, message: "files are not offered here" };
    default:
      return undefined;
  }
}

function checkSource(source: unknown, at: string): Problem | undefined {
  if (!isObject(source)) return { param: at, message: "must be an object" };
  switch (source["type"]) {
    case "base64":
    case "text":
      return needText(source, at, "media_type", "data");
    case "url":
      return needText(source, at, "url");
    case "content": {
      const { content } = source as { content?: unknown };
      if (isText(content)) return undefined;
      return Array.isArray(content)
        ? checkBlocks(content, `${at}.content`)
        : { param: `${at}.content`, message: "must be text or a list of blocks" };
    }
    case "file":
      // A file's id names what any customer of the same provider has put there.
      return { param: `${at}.type`, message: "files are not offered here" };
    default:
      return { param: `${at}.type`, message: "must be base64, url, text or content" };
  }
}
