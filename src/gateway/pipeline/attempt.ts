import type { Candidate } from "../providers/index.ts";
import type { FailureClass } from "./failure.ts";

/** One request to one provider on behalf of a call. A call makes several when providers fail before the client has seen anything. */
export interface Attempt {
  /** The provider, the model's name there, and what it costs us. */
  candidate: Candidate;
  /** Which of the provider's keys; not the key itself. */
  keyFingerprint: string;
  /** `performance.now()`, as are the next two. */
  startedMs: number;
  firstByteMs: number | null;
  /** Null while it runs. */
  endedMs: number | null;
  /** HTTP status of the provider; null when it gave none. */
  status: number | null;
  /** `gone`: the client left, or the call was ended on our side, before the provider was done. */
  outcome: "running" | "ok" | "failed" | "gone";
  /** The precise code, e.g. "upstream_idle_timeout"; null unless it failed. */
  errorCode: string | null;
  errorClass: FailureClass | null;
  upstreamRequestId: string | null;
}
