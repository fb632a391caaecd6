import type { WholeResult } from "../../pipeline/format.ts";
import { isObject, type Fields } from "../checks.ts";
import { malformed } from "../events.ts";
import { isUnreadable } from "../whole.ts";
import { DeliveredWords } from "./delivered.ts";
import { inBandFailure, runFailed, withoutSecrets } from "./errors.ts";
import { madeIn } from "./made.ts";
import { readTotal, readUsage, type Parting } from "./usage.ts";

const isError = (fields: Fields): boolean =>
  fields["event"] === "error" || (typeof fields["code"] === "string" && typeof fields["status"] === "number");

type Parsed = { ok: true; fields: Fields } | Extract<WholeResult, { ok: false }>;

function parse(body: Buffer): Parsed {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString("utf8"));
  } catch {
    return { ok: false, failure: malformed("The provider's answer is not JSON") };
  }
  if (!isObject(answer)) return { ok: false, failure: malformed("The provider's answer is not Dify's") };
  return isError(answer) ? { ok: false, failure: inBandFailure(answer) } : { ok: true, fields: answer };
}

const counter = (words: Fields): Extract<WholeResult, { ok: true }>["count"] => {
  return (tokenizer, budget) => {
    const delivered = new DeliveredWords();
    delivered.readEvent(words);
    return { content: true, tokens: delivered.count(tokenizer, budget) };
  };
};

/** Reads the whole answer of a chat or completion app. It is passed on as it came. */
export function readMessage(body: Buffer): WholeResult {
  const read = parse(body);
  if (!read.ok) return read;
  const { fields } = read;
  if (typeof fields["answer"] !== "string") return { ok: false, failure: malformed("The provider's answer is no message") };
  const said = isObject(fields["metadata"]) ? fields["metadata"]["usage"] : undefined;
  const usage = readUsage(said);
  return {
    ok: true,
    usage,
    unreadableUsage: isUnreadable(said, usage),
    made: madeIn({ ...fields, message_id: fields["message_id"] ?? fields["id"] }),
    count: counter({ event: "message", answer: fields["answer"] }),
  };
}

/** Reads the whole answer of a workflow. One that failed is passed on in Dify's words, and costs nothing. */
export function readRun(body: Buffer, parting: Parting): WholeResult {
  const read = parse(body);
  if (!read.ok) return read;
  const { fields } = read;
  const { data } = fields;
  if (!isObject(data)) return { ok: false, failure: malformed("The provider's answer is no workflow run") };
  const cleaned = withoutSecrets(fields) ? Buffer.from(JSON.stringify(fields)) : undefined;
  if (data["status"] === "failed") return { ok: false, failure: runFailed(cleaned ?? body) };
  const usage = readTotal(data, parting);
  return {
    ok: true,
    usage,
    unreadableUsage: isUnreadable(data["total_tokens"], usage),
    made: madeIn(fields),
    count: counter({ event: "text_chunk", data: { text: textOf(data["outputs"]) } }),
    ...(cleaned ? { body: cleaned } : {}),
  };
}

/** The words of a run's outputs, whatever they are called. */
function textOf(outputs: unknown): string {
  if (!isObject(outputs)) return "";
  return Object.values(outputs)
    .map((value) => (typeof value === "string" ? value : (JSON.stringify(value) ?? "")))
    .join("\n");
}
