import type { Failure } from "../pipeline/failure.ts";

/** What follows from one kind of failure, as long as the client has seen nothing. */
export interface Rule {
  /** Another provider, or another key, is asked at once. */
  elsewhere: boolean;
  /** The same provider may be asked again after a pause. */
  again: boolean;
  /** Whose circuit it counts against: the whole provider's, that of the model there, or nobody's. */
  circuit: "provider" | "model" | undefined;
  /** A caller can bring it about by what it asks: it takes several accounts to count against a circuit. */
  ownDoing?: true;
}

const UNREACHABLE: Rule = { elsewhere: true, again: true, circuit: "provider" };
const BROKEN: Rule = { elsewhere: true, again: true, circuit: "model" };
/** It took its time once; a second wait would be as long. */
const SLOW: Rule = { elsewhere: true, again: false, circuit: "model" };
const OTHER: Rule = { elsewhere: true, again: false, circuit: undefined };
const FINAL: Rule = { elsewhere: false, again: false, circuit: undefined };

/** By the code on the record. Statuses of the caller's own making, and what we ourselves refuse, are final. */
export const RULES: Readonly<Record<string, Rule>> = {
  upstream_network: UNREACHABLE,
  upstream_connect_timeout: UNREACHABLE,
  upstream_5xx: BROKEN,
  upstream_timeout: BROKEN, // 408
  upstream_closed: BROKEN,
  upstream_error_event: BROKEN,
  // An answer that came and cannot be read may be so because of the question.
  upstream_malformed: { ...SLOW, ownDoing: true },
  upstream_first_byte_timeout: SLOW,
  upstream_idle_timeout: SLOW,
  // The key rests instead; see keys.ts.
  upstream_rate_limited: { elsewhere: true, again: true, circuit: undefined },
  upstream_refused: OTHER,
  // The key rests; somebody has to pay a bill.
  upstream_quota_exceeded: OTHER,
  upstream_total_timeout: FINAL,
  upstream_rejected: FINAL,
};

/** The rule for a failure; one with a code of its own goes by what it says itself. */
export function ruleOf(why: Pick<Failure, "record" | "elsewhere">): Rule {
  return RULES[why.record] ?? (why.elsewhere ? OTHER : FINAL);
}

export type RestReason = "rate_limited" | "refused" | "forbidden" | "spent";

const ABOUT_THE_REQUEST = /moderat|flagged|content[ _-]?(policy|filter)|safety/i;
const ABOUT_THE_KEY =
  /key|auth|permission|credential|access|account|organi[sz]ation|project|team|billing|credit|suspend|disabled|denied|forbidden|leaked/i;
/** There is money left, but not for as long an answer as this call asks for. */
const ASKS_FOR_LESS = /max_(completion_|output_)?tokens|can only afford/i;

/** The beginning of what a provider said; empty for what is no JSON: a page of something in front of it, which knows nothing of keys. */
function saidIn(body: Buffer | undefined): string {
  const text = body?.toString("latin1", 0, 4_096) ?? "";
  return /^\s*[[{]/.test(text) ? text : "";
}

/** Whether an error answer is about the key: another one of the same provider may be taken then. */
export function concernsKey(status: number | null, record: string, body: Buffer | undefined): boolean {
  if (status === null || status < 400) return false;
  if (record === "upstream_rate_limited") return true;
  if (record !== "upstream_refused") return false;
  if (status !== 403) return true;
  const said = saidIn(body);
  return ABOUT_THE_KEY.test(said) && !ABOUT_THE_REQUEST.test(said);
}

/**
 * Why the key that was used should rest after an error answer, or undefined. What a caller can provoke by what it asks says nothing about
 * the key: a 403 for its words, a 402 for the length of its answer. Otherwise any customer could put a provider out of use.
 */
export function restReason(status: number | null, record: string, body: Buffer | undefined): RestReason | undefined {
  if (record === "upstream_quota_exceeded") return "spent";
  switch (status) {
    case 400:
      // As doubtful as a 403.
      return record === "upstream_refused" && ABOUT_THE_KEY.test(saidIn(body)) ? "forbidden" : undefined;
    case 401:
      return "refused";
    case 402:
      return ASKS_FOR_LESS.test(saidIn(body)) ? undefined : "spent";
    case 403:
      return concernsKey(status, record, body) ? "forbidden" : undefined;
    case 429:
      return record === "upstream_refused" ? "spent" : "rate_limited";
    default:
      return undefined;
  }
}
