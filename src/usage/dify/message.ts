import { createHash } from "node:crypto";
import { z } from "zod";
import { problemsOf } from "../../http/validate.ts";
import type { FieldProblem } from "../../platform/errors.ts";

/** A `message_end` event as Dify's webhook reports it. */
export interface DifyMessage {
  requestId: string;
  messageId: string;
  conversationId: string;
  /** `user_id`: an account here, or somebody who is mapped to one. */
  user: string;
  model: string;
  inputTokens: number;
  outputTokens: number;
  /** As reported; a contradiction is noted, the parts count. */
  totalTokens: number;
  at: Date;
}

export type Parsed =
  | { kind: "message"; message: DifyMessage }
  /** Well formed, and none of our business. */
  | { kind: "other"; event: string }
  | { kind: "invalid"; message: string; problems: FieldProblem[] };

/** More tokens than this are no count of one message. */
const MOST_TOKENS = 2 ** 31 - 1;
/** A clock may be ahead by this much, and a report late by that much. */
const AHEAD_MS = 300_000;
export const LATE_MS = 30 * 86_400_000;

const text = z
  .string()
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, "must not contain control characters");
const id = text.min(1, "must not be empty");
const tokens = z
  .number("must be a number")
  .int("must be a whole number")
  .min(0, "must not be negative")
  .max(MOST_TOKENS, `must not be above ${MOST_TOKENS}`);

/** The body as the document shows it; fields that Dify adds are passed over. */
export const difyBody = z.object({
  event: text.min(1).meta({ examples: ["message_end"] }),
  data: z.object({
    conversation_id: text.nullable().meta({ description: "null where there is no conversation" }),
    message_id: id,
    user_id: id,
    model_name: id,
    input_tokens: tokens,
    output_tokens: tokens,
    total_tokens: tokens,
    timestamp: z.iso.datetime({ offset: true, local: true, error: "must be an ISO 8601 time" }),
  }),
  request_id: id,
});

const anyEvent = z.object({ event: text.min(1) });

function parseJson(raw: Buffer): unknown {
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(raw));
}

/** Without a zone it is UTC. */
const timeOf = (timestamp: string): Date => new Date(/(Z|[+-]\d\d:?\d\d)$/i.test(timestamp) ? timestamp : `${timestamp}Z`);

const invalid = (field: string, message: string): Parsed => ({
  kind: "invalid",
  message: `${field}: ${message}`,
  problems: [{ field, message }],
});

/** What a verified body says. */
export function parseDelivery(raw: Buffer, now: number): Parsed {
  let value: unknown;
  try {
    value = parseJson(raw);
  } catch {
    return invalid("body", "is not JSON");
  }
  const event = anyEvent.safeParse(value);
  if (event.success && event.data.event !== "message_end") return { kind: "other", event: event.data.event };
  const parsed = difyBody.safeParse(value);
  if (!parsed.success) {
    const problems = problemsOf(parsed.error, "body");
    return { kind: "invalid", message: problems.map(({ field, message }) => `${field}: ${message}`).join("; "), problems };
  }
  const { data, request_id: requestId } = parsed.data;
  const at = timeOf(data.timestamp);
  if (!(at.getTime() <= now + AHEAD_MS)) return invalid("data.timestamp", "lies in the future");
  if (at.getTime() < now - LATE_MS) return invalid("data.timestamp", "is more than 30 days ago");
  return {
    kind: "message",
    message: {
      requestId,
      messageId: data.message_id,
      conversationId: data.conversation_id ?? "",
      user: data.user_id,
      model: data.model_name,
      inputTokens: data.input_tokens,
      outputTokens: data.output_tokens,
      totalTokens: data.total_tokens,
      at,
    },
  };
}

/** A request id as a key beside message keys: a UUID (version 8) from its SHA-256. */
export function requestKey(requestId: string): string {
  const bytes = createHash("sha256").update(`dify-request:${requestId}`).digest();
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString("hex", 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** The parts of a message, which are what is charged. */
export const tokensUsed = (message: Pick<DifyMessage, "inputTokens" | "outputTokens">): number =>
  message.inputTokens + message.outputTokens;
