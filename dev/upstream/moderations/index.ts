import { randomBytes } from "node:crypto";
import { hash } from "../content/text.ts";
import { refuse, type Endpoint } from "../endpoint.ts";
import { openai } from "../vendors.ts";

/** Categories, and the words that this upstream takes for a sign of them. */
const CATEGORIES: Record<string, RegExp | undefined> = {
  harassment: /\b(idiot|stupid)\b/i,
  "harassment/threatening": undefined,
  hate: /\bhate\b/i,
  "hate/threatening": undefined,
  illicit: /\b(smuggle|launder)/i,
  "illicit/violent": undefined,
  "self-harm": undefined,
  "self-harm/instructions": undefined,
  "self-harm/intent": undefined,
  sexual: undefined,
  "sexual/minors": undefined,
  violence: /\b(kill|murder)/i,
  "violence/graphic": undefined,
};
const SURE = 0.97;

interface Part {
  type?: string;
  text?: string;
}

/** The inputs: texts are judged one by one, parts of text and picture together. */
function inputsOf(input: unknown): string[] {
  if (typeof input === "string") return [input];
  if (!Array.isArray(input) || input.length === 0) return refuse("Missing required parameter: 'input'.", "input");
  if (input.every((one) => typeof one === "string")) return input as string[];
  return [(input as Part[]).map((part) => part?.text ?? "").join(" ")];
}

function judge(text: string): object {
  const names = Object.keys(CATEGORIES);
  const found = names.map((name) => CATEGORIES[name]?.test(text) ?? false);
  const faint = (name: string): number => (hash(name + text) % 1_000) / 100_000;
  return {
    flagged: found.includes(true),
    categories: Object.fromEntries(names.map((name, i) => [name, found[i]])),
    category_scores: Object.fromEntries(names.map((name, i) => [name, found[i] ? SURE : faint(name)])),
    category_applied_input_types: Object.fromEntries(names.map((name) => [name, ["text"]])),
  };
}

/** OpenAI's moderation, which is free: https://platform.openai.com/docs/api-reference/moderations */
export const moderations: Endpoint = {
  method: "POST",
  path: /^\/v1\/moderations$/,
  vendor: openai,
  prompt: ({ input }) => (Array.isArray(input) ? inputsOf(input).join(" ") : String(input ?? "")),
  answer({ body }) {
    const results = inputsOf(body["input"]).map(judge);
    return {
      kind: "whole",
      body: { id: `modr-${randomBytes(12).toString("hex")}`, model: body["model"] ?? "omni-moderation-latest", results },
    };
  },
};
