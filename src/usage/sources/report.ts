import { z } from "zod";
import { problemsOf } from "../../http/validate.ts";
import { appError, type AppError } from "../../platform/errors.ts";
import { LATE_MS, type DifyMessage } from "../dify/message.ts";

/** What platforms beside Dify report: so many uses at a time. */

const MOST_REPORTS = 100;
const MOST_TOKENS = 2 ** 31 - 1;
const AHEAD_MS = 300_000;

const text = (max: number) =>
  z
    .string()
    .min(1, "must not be empty")
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, "must not contain control characters");
const tokens = z.number().int("must be a whole number").min(0, "must not be negative").max(MOST_TOKENS);

const report = z.strictObject({
  id: text(150).meta({ description: "Of the use, unique at the source: the same id again is not charged again" }),
  user_id: text(150).meta({ description: "An account's id here, or an id that operators have mapped as `<source>:<user_id>`" }),
  model: text(100).meta({ description: "Name or alias" }),
  input_tokens: tokens,
  output_tokens: tokens,
  at: z.iso.datetime({ offset: true }).meta({ description: "When it was; at most 30 days ago" }),
  conversation_id: text(150).optional(),
});

export const reportsBody = z.strictObject({ events: z.array(report).min(1).max(MOST_REPORTS) });

const ACCOUNT = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * What a verified body says, as messages whose ids begin with the source: those of different sources never meet, nor do users who are not
 * accounts. Or why nothing of it is taken: `validation_failed` that names each field.
 */
export function readReports(source: string, raw: Buffer, now: number): DifyMessage[] | AppError {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(raw));
  } catch {
    return refused([{ field: "body", message: "is not JSON" }]);
  }
  const parsed = reportsBody.safeParse(value);
  if (!parsed.success) return refused(problemsOf(parsed.error, "body"));
  const { events } = parsed.data;
  const problems = events.flatMap(({ at }, n) => {
    const time = Date.parse(at);
    if (time > now + AHEAD_MS) return [{ field: `events.${n}.at`, message: "lies in the future" }];
    return time < now - LATE_MS ? [{ field: `events.${n}.at`, message: "is more than 30 days ago" }] : [];
  });
  if (problems.length > 0) return refused(problems);
  const named = (id: string) => `${source}:${id}`;
  return events.map(({ id, user_id: user, model, input_tokens: inputTokens, output_tokens: outputTokens, at, conversation_id }) => ({
    requestId: named(id),
    messageId: named(id),
    conversationId: conversation_id === undefined ? "" : named(conversation_id),
    user: ACCOUNT.test(user) ? user.toLowerCase() : named(user),
    model,
    inputTokens,
    outputTokens,
    totalTokens: inputTokens + outputTokens,
    at: new Date(at),
  }));
}

const refused = (details: { field: string; message: string }[]): AppError =>
  appError("validation_failed", { message: details.map(({ field, message }) => `${field}: ${message}`).join("; "), details });
