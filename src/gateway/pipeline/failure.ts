import { ERROR_CODES, type ErrorCode } from "../../platform/errors.ts";

/** The kinds of failure an operator groups by. */
export type FailureClass =
  | "refused"
  | "rate_limited"
  | "server"
  | "timeout"
  | "network"
  | "malformed"
  | "rejected"
  | "internal"
  | "shutdown";

/** Why a call did not succeed, in no vendor's words yet. Each format writes it in its own shape. */
export interface Failure {
  /** The code the client is told. */
  code: ErrorCode;
  status: number;
  message: string;
  /** The precise code on the record, e.g. "upstream_idle_timeout". */
  record: string;
  class: FailureClass;
  /** The field of the request that is wrong. */
  param?: string | null;
  /** Seconds for `retry-after`. */
  retryAfter?: number | undefined;
  /** False for a refusal that stays: official clients would otherwise repeat it. */
  shouldRetry?: false;
  /**
   * Another provider may be tried while the client has seen nothing. Counts for records without a rule of their own in routing/rules.ts;
   * false counts for all: what was answered and paid for is not bought twice.
   */
  elsewhere?: boolean;
  /** The provider was never reached: it has not begun. */
  unsent?: true;
  /** What a program wants to know beside the code. */
  details?: Record<string, string>;
  /** What the provider itself said, when it is the caller's to mend. */
  vendor?: { type: string | null; code: string | null };
  /** How the provider itself tells its failure, where its clients understand that: goes to the client in place of our words. */
  verbatim?: Buffer;
}

/** A refusal of ours or a failure; status and sentence come from the table unless given. */
export function failure(code: ErrorCode, options: Partial<Omit<Failure, "code">> = {}): Failure {
  const { status, message } = ERROR_CODES[code];
  return { code, status, message, record: code, class: "refused", ...options };
}
