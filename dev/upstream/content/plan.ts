import { randomBytes } from "node:crypto";
import { stripDirectives, type Directives } from "../control/directives.ts";
import { sampleOf } from "./schema.ts";
import { answerPieces } from "./text.ts";
import { cutToTokens, tokensOf } from "./tokens.ts";

/** A call of one of the caller's tools. */
export interface ToolCall {
  /** Without the format's prefix. */
  id: string;
  name: string;
  /** The arguments' JSON in the pieces in which it is streamed. */
  pieces: string[];
}

/** What an answer says, in no format's words. */
export interface Content {
  reasoning: string[];
  pieces: string[];
  tools: ToolCall[];
  end: "stop" | "length" | "tools" | "refusal" | "stop_sequence";
  stopSequence: string | null;
  /** Tokens of all of it, said once. */
  tokens: { completion: number; reasoning: number };
}

/** A tool as its definition says. */
export interface ToolDefinition {
  name: string;
  schema: unknown;
}

export interface Question {
  /** What the user said last. */
  text: string;
  directives: Directives;
  /** The most tokens the answer may have. */
  cap?: number | undefined;
  tools?: ToolDefinition[];
  /** The caller demands a call: of this tool, or of any. */
  mustCall?: string | true | undefined;
  /** The answer must be JSON of this schema. */
  schema?: unknown;
  stop?: string[];
}

const BIG_PIECE = 1_048_576;
const USUAL_ARGUMENTS = { city: "Paris", unit: "celsius" };
const ARGUMENT_PIECE = 7;
const JSON_PIECE = 5;
const REFUSAL = "I'm sorry, but I can't help with that request.";

const cutEvery = (text: string, size: number): string[] => text.match(new RegExp(`[^]{1,${size}}`, "gu")) ?? [];

function toolCalls({ directives, tools = [], mustCall }: Question): ToolCall[] {
  const forced = mustCall === true ? tools[0]?.name : mustCall;
  const names = directives.tools ?? (forced === undefined ? [] : [forced]);
  return names.map((name) => {
    const schema = tools.find((tool) => tool.name === name)?.schema;
    const given = schema === undefined ? USUAL_ARGUMENTS : sampleOf(schema);
    return { id: randomBytes(12).toString("hex"), name, pieces: cutEvery(JSON.stringify(given), ARGUMENT_PIECE) };
  });
}

function textPieces({ text, directives, schema }: Question): string[] {
  const { faults, chunks, refusal } = directives;
  if (faults.tiny_events) return Array.from({ length: Number(faults.tiny_events["count"] ?? 10_000) }, (_, i) => "abcdefghij"[i % 10]!);
  if (schema !== undefined) return cutEvery(JSON.stringify(sampleOf(schema)), JSON_PIECE);
  if (refusal) return REFUSAL.split(/(?<=\s)/);
  const pieces = answerPieces(stripDirectives(text), { count: chunks, beyondAscii: faults.split_utf8 !== undefined });
  if (faults.big_event) pieces.splice(1, 0, "large piece ".repeat(Math.ceil(Number(faults.big_event["bytes"] ?? BIG_PIECE) / 12)));
  return pieces;
}

function cutAtStop(pieces: string[], stop: string[]): { pieces: string[]; found: string | null } {
  const text = pieces.join("");
  const hits = stop.map((word) => ({ word, at: text.indexOf(word) })).filter(({ at }) => at >= 0);
  const first = hits.toSorted((a, b) => a.at - b.at)[0];
  return first ? { pieces: text.slice(0, first.at).split(/(?<=\s)/), found: first.word } : { pieces, found: null };
}

/** Decides what is said, before the first byte. What was told exactly is not cut at the caller's cap. */
export function planContent(question: Question): Content {
  const { directives, cap, stop = [] } = question;
  const { faults } = directives;
  const tools = toolCalls(question);
  const reasoning = directives.reasoning ? answerPieces(`thinking ${question.text}`, { count: directives.reasoning }) : [];
  const thought = tokensOf(reasoning.join(""));
  const spoken = tools.length > 0 && directives.chunks === undefined ? [] : textPieces(question);
  const { pieces: upToStop, found } = cutAtStop(spoken, stop);
  const exact = directives.usage ?? directives.chunks ?? faults.tiny_events ?? faults.big_event ?? question.schema;
  const cut = cap === undefined || exact !== undefined ? undefined : cutToTokens(upToStop.join(""), Math.max(cap - thought, 0));
  const pieces = cut === undefined ? upToStop : cut.split(/(?<=\s)/).filter(Boolean);
  const called = tools.map((tool) => tool.name + tool.pieces.join("")).join("");
  return {
    reasoning,
    pieces,
    tools,
    end: endOf(tools.length > 0, cut !== undefined, directives.refusal === true, found),
    stopSequence: cut === undefined ? found : null,
    tokens: { completion: thought + tokensOf(pieces.join("")) + tokensOf(called), reasoning: thought },
  };
}

function endOf(calls: boolean, cut: boolean, refused: boolean, stop: string | null): Content["end"] {
  if (calls) return "tools";
  if (cut) return "length";
  if (refused) return "refusal";
  return stop === null ? "stop" : "stop_sequence";
}

/** A positive whole number of a request, else undefined. */
export function positive(value: unknown): number | undefined {
  return typeof value === "number" && value > 0 ? Math.floor(value) : undefined;
}

/** The words of a request that may be a text or a list of texts. */
export function wordsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.filter((word) => typeof word === "string") : [];
}
