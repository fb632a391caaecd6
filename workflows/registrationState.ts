/** What a verification is told, asked and says, and the rules of its state: pure, so that it can be tested without a server. */

export interface VerificationInput {
  email: string;
  codeTtlMs: number;
  linkTtlMs: number;
  resendAfterMs: number;
  maxTries: number;
  /** Whether a welcome grant follows the activation. */
  welcome: boolean;
}

export type Resend =
  | { kind: "code"; locale: "en" | "zh-CN" }
  | { kind: "link"; locale: "en" | "zh-CN"; registrationId: string; reason: "register" | "resend" };

export type Submission = { kind: "code"; codeHash: string; registrationId: string } | { kind: "link"; tokenHash: string };

export type SubmitOutcome =
  | { kind: "activated"; userId: string }
  /** The code is not the one that was mailed last. */
  | { kind: "wrong" }
  /** The link is unknown, used or too old. */
  | { kind: "invalid" }
  | { kind: "taken"; field: string }
  | { kind: "already_registered" };

/** What an activity answers after mailing; `codeHash` is empty when no code can be right. */
export type Mailed = { kind: "code"; codeHash: string } | { kind: "link" } | { kind: "nothing" };

export interface VerificationView {
  state: "waiting" | "activated" | "expired";
  userId: string | null;
  sends: number;
  wrongTries: number;
}

const HEX_64 = /^[0-9a-f]{64}$/;
/** How long a run waits for its first request; a link may be submitted to a run that mailed nothing itself. */
const IDLE_MS = 60_000;
/** More sends than any daily cap allows to one run would only grow its history. */
const MAX_SENDS = 200;

export class Verification {
  private readonly input: VerificationInput;
  private readonly requests: Resend[] = [];
  private readonly lastSent = { code: Number.NEGATIVE_INFINITY, link: Number.NEGATIVE_INFINITY };
  private code: { hash: string; expiresAt: number; tries: number } | undefined;
  private inUse = false;
  private mailing = false;
  private until: number;
  private sends = 0;
  private wrongTries = 0;
  private userId: string | undefined;
  private closed = false;

  constructor(input: VerificationInput, now: number) {
    this.input = input;
    this.until = now + IDLE_MS;
  }

  get finished(): boolean {
    return this.userId !== undefined;
  }

  get asked(): boolean {
    return this.requests.length > 0;
  }

  /** A mail is being queued, or about to be: its reader may be faster than the news of it. */
  get busy(): boolean {
    return this.mailing || this.asked;
  }

  ask(request: Resend): void {
    this.requests.push(request);
  }

  /**
   * The next request that may be served: not right after the last of its kind, nor after the end. The pause proper is kept where requests
   * come in; half of it here, because a request may reach us late, when the one before it was late as well.
   */
  nextRequest(now: number): Resend | undefined {
    for (let request = this.requests.shift(); request; request = this.requests.shift()) {
      if (this.finished || this.sends >= MAX_SENDS) continue;
      if (now - this.lastSent[request.kind] < this.input.resendAfterMs / 2) continue;
      this.lastSent[request.kind] = now;
      this.mailing = true;
      return request;
    }
    return undefined;
  }

  /** Notes what was mailed. A new code replaces the earlier one and has its own tries. */
  mailed(mail: Mailed, now: number): void {
    this.mailing = false;
    if (mail.kind === "nothing") return;
    this.sends += 1;
    const expiresAt = now + (mail.kind === "code" ? this.input.codeTtlMs : this.input.linkTtlMs);
    if (mail.kind === "code") this.code = { hash: mail.codeHash, expiresAt, tries: 0 };
    this.until = this.sends === 1 ? expiresAt : Math.max(this.until, expiresAt);
  }

  /** Why a submission is not even looked at, or undefined. */
  refuses(submission: Submission, now: number): string | undefined {
    if (this.finished || this.closed) return "This verification is over";
    if (submission.kind === "link") return HEX_64.test(submission.tokenHash) ? undefined : "Malformed token";
    if (submission.kind !== "code" || !HEX_64.test(submission.codeHash)) return "Malformed code";
    if (this.busy) return undefined;
    if (!this.code || this.code.expiresAt <= now) return "There is no live code";
    if (this.code.tries >= this.input.maxTries) return "Too many wrong tries";
    return undefined;
  }

  /** Decides on a submission; a right code is set aside until {@link settle}, so that it serves one account. */
  take(submission: Submission, now: number): "try_it" | "wrong" | "invalid" {
    if (submission.kind === "link") return this.finished ? "invalid" : "try_it";
    const { code } = this;
    if (!code || this.inUse || this.finished || code.expiresAt <= now || code.tries >= this.input.maxTries) return "wrong";
    if (code.hash !== submission.codeHash) {
      code.tries += 1;
      this.wrongTries += 1;
      return "wrong";
    }
    this.inUse = true;
    return "try_it";
  }

  /** A code that led to no account for a reason that can be mended (a name that is taken) may be used again. */
  settle(submission: Submission, outcome: SubmitOutcome): void {
    if (submission.kind === "code") this.inUse = false;
    if (outcome.kind === "activated") this.userId = outcome.userId;
    if (outcome.kind === "already_registered") this.code = undefined;
  }

  msLeft(now: number): number {
    return this.until - now;
  }

  close(): void {
    this.closed = true;
  }

  view(): VerificationView {
    const state = this.finished ? "activated" : this.closed ? "expired" : "waiting";
    return { state, userId: this.userId ?? null, sends: this.sends, wrongTries: this.wrongTries };
  }

  /** For the Temporal UI. */
  describe(): string {
    const { state, sends, wrongTries } = this.view();
    return `**${state}**: mails sent: ${sends}, wrong tries: ${wrongTries}`;
  }
}
