/**
 * What happens in the product, as one structure: the activity log, the metrics, the audit trail, the live monitor and other consumers
 * (Redis Stream, Kafka) all get these. It is what is written, so its fields are spelled as in JSON. Amounts are decimal text in credits.
 * No event holds a secret, a prompt or an answer. docs/events.md describes every field.
 */

/** Rises when a field changes its meaning or goes away; new kinds and new fields come without a new version. */
export const EVENT_VERSION = 1;

/** What every event has. */
interface Common {
  v: typeof EVENT_VERSION;
  /** Unique, and sorts by time (UUID version 7): whoever gets an event twice knows it by this. */
  id: string;
  /** ISO 8601, UTC, milliseconds. */
  at: string;
  /** Whose activity it is; null when nobody is known. */
  user_id: string | null;
  /** The X-Request-ID of the request that led to it. */
  request_id: string | null;
  /** Of the caller; hashed or left out when ACTIVITY_IP says so. */
  ip: string | null;
}

/** An attempt to sign in. With a user when the account is known, also when it failed. */
export interface SignIn {
  kind: "sign_in";
  result: "success" | "failure";
  method: "password" | "code";
  /** Why it failed: wrong password or code, too many failures before it, or an account that may not sign in now. */
  reason: "wrong_credentials" | "locked" | "suspended" | null;
}

/** Sessions were ended by their owner, or because a refresh token was used twice. */
export interface SessionEnded {
  kind: "session.ended";
  reason: "signed_out" | "token_reused";
  sessions: number;
}

/** A new account. `code`: its address is verified; `link`: not yet; `operator`: made by one. */
export interface UserRegistered {
  kind: "user.registered";
  method: "code" | "link" | "operator";
}

/** The address of an account was verified by its mailed link. */
export interface UserVerified {
  kind: "user.verified";
}

/** Something was done to an API key. */
export interface KeyEvent {
  kind: "key.created" | "key.changed" | "key.rotated" | "key.revoked";
  key_id: string;
  name: string;
  /** Its first characters, as lists show it. */
  prefix: string;
}

/** A top-up order has come to a status; `pending` when it was made. */
export interface TopUpChanged {
  kind: "topup.changed";
  order_no: string;
  status: "pending" | "paid" | "completed" | "expired" | "cancelled" | "failed" | "refunded";
  provider: string;
  method: string;
  /** Money in the currency's main unit. */
  amount: string;
  currency: string;
}

/** A render task has come to another state. */
export interface TaskChanged {
  kind: "task.changed";
  task_id: string;
  engine: string;
  status: string;
  previous: string;
  /** Why, where that is not plain: asked, insufficient_balance, frame_failed. */
  reason: string | null;
  total_frames: number;
  done_frames: number;
  /** What was charged so far. */
  cost: string;
}

/** Tokens of a call by kind; the kinds are disjoint. */
export interface EventTokens {
  input: number;
  cached_input: number;
  cache_write: number;
  output: number;
  reasoning: number;
}

/** What every relayed call has. */
interface CallFacts {
  /** Also the id of its usage record and of its charge. */
  call_id: string;
  key_id: string | null;
  route: string;
  /** As in the catalogue; null when the call did not get that far. */
  model: string | null;
  /** What the caller was told; 499 for one who left. */
  http_status: number;
  /** The precise code; null for a good call. */
  error_code: string | null;
  duration_ms: number;
}

/** A relayed call has ended that was not refused. */
export interface CallEnded extends CallFacts {
  kind: "call.ended";
  outcome: "ok" | "client_gone" | "failed";
  error_class: string | null;
  /** Null when the client left before its request was read. */
  answer: "stream" | "whole" | "bytes" | null;
  provider: string | null;
  /** Requests to providers. */
  attempts: number;
  /** From the request to the provider's first byte. */
  first_byte_ms: number | null;
  /** Null when the call is charged nothing. */
  tokens: EventTokens | null;
  /** The tokens were counted by us, because the provider did not say. */
  estimated: boolean;
  /** What the call costs by its price; what was really charged is in `call.settled`. Null when the call is charged nothing. */
  cost: string | null;
  /** Answered from the cache. */
  cached: boolean;
}

/** Whose doing a refusal is. `limit`: rates and parallel calls; `quota`: budgets and quotas; `balance`: the wallet; `guardrail`; `access`: key,
 * account or model not allowed; `request`: it cannot be served as it is; `service`: nothing is there to serve it. */
export type RefusedBy = "limit" | "quota" | "balance" | "guardrail" | "access" | "request" | "service";

/** A call was refused before any provider was asked, or its answer by the guardrail. Nothing is charged. */
export interface CallRefused extends CallFacts {
  kind: "call.refused";
  by: RefusedBy;
}

/** A call was charged. */
export interface CallSettled {
  kind: "call.settled";
  call_id: string;
  model: string;
  charged: string;
  /** What the call was worth beyond what could be charged. */
  uncharged: string;
  /** From its durable record to the charge. */
  lag_ms: number;
  /** The hold was gone when the charge came. */
  hold_missing: boolean;
}

/** An operator did something; the same entry is in the audit log, written in the transaction of the change. */
export interface OperatorActed {
  kind: "operator.acted";
  /** Null when the program did it. */
  actor_id: string | null;
  /** What was done, e.g. `user.update`. */
  action: string;
  /** What it was done to, e.g. `user:<id>`. */
  target: string;
  details: Record<string, unknown>;
}

/** Credit was given: for a check-in, a welcome, a referral, a campaign. */
export interface RewardGranted {
  kind: "reward.granted";
  /** What it was for. */
  reward: string;
  amount: string;
  /** Id of the transfer, as in the user's history. */
  transfer_id: string;
}

/** A reward was taken back, because its top-up was refunded: what was left of it, or what was spent of it from a later one. */
export interface RewardReversed {
  kind: "reward.reversed";
  /** What it had been given for. */
  reward: string;
  /** What was taken. */
  amount: string;
  order_no: string;
  transfer_id: string;
}

type Kinds =
  | SignIn
  | SessionEnded
  | UserRegistered
  | UserVerified
  | KeyEvent
  | TopUpChanged
  | TaskChanged
  | CallEnded
  | CallRefused
  | CallSettled
  | OperatorActed
  | RewardGranted
  | RewardReversed;

export type ActivityEvent = Common & Kinds;
export type EventKind = ActivityEvent["kind"];
export type EventOf<K extends EventKind> = Extract<ActivityEvent, { kind: K }>;

/** An event as its emitter knows it: who emits leaves out what is null or can be filled in (id, time, the request being served). */
export type NewEvent = Kinds & Partial<Pick<Common, "id" | "at" | "user_id" | "request_id" | "ip">>;

/** Every kind there is, in the order of the documents. */
export const EVENT_KINDS = [
  "sign_in",
  "session.ended",
  "user.registered",
  "user.verified",
  "key.created",
  "key.changed",
  "key.rotated",
  "key.revoked",
  "topup.changed",
  "task.changed",
  "call.ended",
  "call.refused",
  "call.settled",
  "operator.acted",
  "reward.granted",
  "reward.reversed",
] as const satisfies readonly EventKind[];
