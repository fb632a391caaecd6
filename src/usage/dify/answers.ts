import { formatCredits } from "../../platform/credits.ts";
import { ERROR_CODES, type ErrorCode } from "../../platform/errors.ts";

/** An answer as it goes out, kept so that a repeat gets the same bytes. */
export interface DifyAnswer {
  status: number;
  body: string;
}

/** What was charged for a message. Amounts in micro-credits. */
export interface Deduction {
  /** The usage event that was charged. */
  eventId: string;
  taken: bigint;
  /** What the wallet did not have. */
  owed: bigint;
  tokensUsed: number;
}

/** `cons_` and the id of the usage event that was charged. */
export const consumptionId = (eventId: string): string => `cons_${eventId.replaceAll("-", "")}`;

/** The usage event's id in a consumption id; undefined for other text. */
export function eventIdOf(consumption: string): string | undefined {
  const hex = /^(?:cons_)?([0-9a-f]{32})$/i.exec(consumption.replaceAll("-", ""))?.[1]?.toLowerCase();
  return hex?.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const points = (micro: bigint): string => `${formatCredits(micro)} ${micro === 1_000_000n ? "point" : "points"}`;

/**
 * The answer to a message that was charged, with the names that Dify's side reads. Points are a number: whole when they are, else exact
 * decimals, written out because a float could not hold them all. A shortfall is an error that says what was taken.
 */
export function chargedAnswer(deduction: Deduction, traceId: string, note?: string): DifyAnswer {
  const { eventId, taken, owed, tokensUsed } = deduction;
  const data = `{"consumptionId":"${consumptionId(eventId)}","pointsDeducted":${formatCredits(taken)},"tokensUsed":${tokensUsed}}`;
  if (owed === 0n) {
    const message = JSON.stringify(note ? `Deducted ${points(taken)}; ${note}` : `Deducted ${points(taken)}`);
    return { status: 200, body: `{"success":true,"message":${message},"data":${data}}` };
  }
  const message = JSON.stringify(`The balance did not cover this: deducted ${points(taken)}, ${points(owed)} are owed`);
  const details = `${data.slice(0, -1)},"shortfall":"${formatCredits(owed)}"}`;
  const error = `{"code":"insufficient_balance","details":${details}}`;
  return {
    status: ERROR_CODES.insufficient_balance.status,
    body: `{"success":false,"message":${message},"error":${error},"trace_id":${JSON.stringify(traceId)}}`,
  };
}

/** A refusal in the envelope's shape. */
export function refusedAnswer(code: ErrorCode, message: string, traceId: string, details?: unknown): DifyAnswer {
  return {
    status: ERROR_CODES[code].status,
    body: JSON.stringify({ success: false, message, error: { code, details }, trace_id: traceId }),
  };
}

/** An event that is none of ours, acknowledged. */
export function ignoredAnswer(event: string): DifyAnswer {
  return {
    status: 200,
    body: JSON.stringify({ success: true, message: `Nothing to do for ${event}: only message_end is charged`, data: null }),
  };
}
