import type { RawAnswer } from "../../../support/rawCall.ts";
import type { Asking } from "./askings.ts";

/** What a client of the route takes from an answer. */
export interface View {
  /** Complete, refused before it began, broken off with an error, cut without a word, or ended as if nothing were wrong. */
  kind: "answer" | "refused" | "broken" | "cut" | "truncated";
  status: number;
  /** The code in the error, ours or the vendor's. */
  code: string | undefined;
  message: string;
  /** The content alone. */
  said: string;
}

/* oxlint-disable-next-line typescript/no-explicit-any -- answers of every vendor */
type Json = any;

/** The content of one event or of a whole answer, by route. */
const CONTENT: Record<string, (json: Json) => unknown> = {
  "/v1/chat/completions": ({ choices }) => choices?.[0]?.delta?.content ?? choices?.[0]?.message?.content,
  "/v1/completions": ({ choices }) => choices?.[0]?.text,
  "/v1/responses": (json) =>
    json.type === "response.output_text.delta" ? json.delta : json.object === "response" ? json.output?.[0]?.content?.[0]?.text : undefined,
  "/v1/messages": (json) => (json.type === "message" ? json.content?.[0]?.text : json.delta?.text),
  "/v1/messages/count_tokens": ({ input_tokens: tokens }) => tokens,
  "/v1/embeddings": ({ data }) => data && JSON.stringify(data),
  "/v1/moderations": ({ results }) => results && JSON.stringify(results),
  "/v1/rerank": ({ results }) => results && JSON.stringify(results),
  "/v1/images/generations": (json) => json.b64_json ?? (json.data && JSON.stringify(json.data)),
  "/v1/images/edits": (json) => json.b64_json ?? (json.data && JSON.stringify(json.data)),
  "/v1/audio/speech": ({ audio }) => audio,
  "/v1/audio/transcriptions": (json) => json.delta ?? (json.type ? undefined : json.text),
  "/v1/audio/translations": ({ text }) => text,
  "/dify/v1/chat-messages": ({ answer }) => answer,
  "/dify/v1/completion-messages": ({ answer }) => answer,
  "/dify/v1/workflows/run": ({ event, data }) =>
    event === undefined ? data?.outputs?.text : event === "text_chunk" ? data.text : undefined,
  "/dify/v1/text-to-audio": ({ text }) => text,
  "/dify/v1/audio-to-text": ({ text }) => text,
};

/** The event after which a client takes a stream for complete. */
const LAST: Record<string, RegExp> = {
  "/v1/chat/completions": /^data: \[DONE\]$/,
  "/v1/completions": /^data: \[DONE\]$/,
  "/v1/responses": /"type":"response\.(completed|incomplete)"/,
  "/v1/messages": /"type": ?"message_stop"/,
  "/v1/images/generations": /"type":"image_generation\.completed"/,
  "/v1/images/edits": /"type":"image_edit\.completed"/,
  "/v1/audio/speech": /"type":"speech\.audio\.done"/,
  "/v1/audio/transcriptions": /"type":"transcript\.text\.done"/,
  "/dify/v1/chat-messages": /"event":"(message_end|tts_message_end)"/,
  "/dify/v1/completion-messages": /"event":"(message_end|tts_message_end)"/,
  "/dify/v1/workflows/run": /"event":"workflow_finished"/,
};

const nameOf = ({ format }: Pick<Asking, "format">): string =>
  format.route === "/chat/completions" ? "/v1/chat/completions" : format.route;

function parsed(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const dataOf = (event: string): string =>
  event
    .split(/\r?\n/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).trimStart())
    .join("\n");

/** The error in an answer or an event, in any vendor's shape. */
function errorIn(json: Json): Pick<View, "code" | "message"> | undefined {
  // Dify's is not inside anything.
  const ofDify = json?.event === "error" || (typeof json?.code === "string" && typeof json?.status === "number");
  const error =
    (ofDify ? json : undefined) ??
    json?.error ??
    (json?.type === "error" ? json : json?.type === "response.failed" ? json.response.error : undefined);
  if (!error) return undefined;
  return { code: error.details?.error_code ?? error.code ?? undefined, message: String(error.message) };
}

/** Reads a raw answer as a client of this route would. */
export function viewOf(asking: Asking, { status, text, broken }: RawAnswer): View {
  const content = CONTENT[nameOf(asking)]!;
  if (status !== 200) {
    const error = errorIn(parsed(text));
    return { kind: "refused", status, code: error?.code, message: error?.message ?? text, said: "" };
  }
  const nothing = { status, code: undefined, message: "" };
  if (asking.answer === "bytes") return { kind: broken ? "cut" : "answer", ...nothing, said: text };
  if (asking.answer === "whole") {
    if (broken) return { kind: "cut", ...nothing, said: "" };
    return { kind: "answer", ...nothing, said: String(content(parsed(text) ?? {}) ?? text).replace(/\n$/, "") };
  }
  const events = text.split(/\r?\n\r?\n/).filter((event) => event && !event.startsWith(":"));
  const values = events.map((event) => parsed(dataOf(event)));
  const said = values.map((value) => (value ? (content(value) ?? "") : "")).join("");
  const error = errorIn(values.at(-1));
  if (error) return { kind: "broken", status, ...error, said };
  if (broken) return { kind: "cut", ...nothing, said };
  return { kind: LAST[nameOf(asking)]!.test(events.at(-1) ?? "") ? "answer" : "truncated", ...nothing, said };
}

/** Whether answers of this route can be read here. */
export const isReadable = (asking: Asking): boolean => nameOf(asking) in CONTENT && (asking.answer !== "stream" || nameOf(asking) in LAST);
