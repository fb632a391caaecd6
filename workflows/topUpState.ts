/** Pure state and rules of a top-up's workflow: what has happened, what is due next. Amounts are decimal minor units. */

/** Pauses between two queries: the first, growing by `factor` up to `maxMs`. */
export interface Backoff {
  firstMs: number;
  factor: number;
  maxMs: number;
}

export interface TopUpInput {
  orderNo: string;
  userId: string;
  /** When the order can no longer be paid, and until when a late payment is looked for; Unix milliseconds. */
  expiresAt: number;
  watchUntil: number;
  poll: Backoff;
  latePoll: Backoff;
  /** How long to go on asking when a callback was not confirmed by a query. */
  confirmMs: number;
  /** Questions to the provider per run, after which the history begins anew. */
  queriesPerRun: number;
}

/** A payment as a verified callback or a query reports it. */
export interface Report {
  tradeNo: string;
  amount: string;
  reportedBy: "callback" | "query";
}

export type Status = "pending" | "paid" | "completed" | "expired" | "cancelled" | "failed" | "refunded";

/** The way to pay itself stays in the database: it may be a signed address. */
export interface Payable {
  status: Status;
  /** False when the order could never be paid. */
  payable: boolean;
  about: string;
}

export interface Credited {
  outcome: "credited" | "already_credited" | "second_payment" | "wrong_amount" | "trade_of_another_order" | "not_confirmed";
  status: Status;
  late: boolean;
}

export interface TopUpResult {
  orderNo: string;
  status: Status;
  late: boolean;
}

/** What happens next. */
export type Step = "credit" | "close" | "query" | "wait" | "end";

const keyOf = (report: Report) => `${report.tradeNo} ${report.amount}`;
const CLOSED: readonly Status[] = ["expired", "cancelled", "failed"];

export class TopUpProgress {
  readonly input: TopUpInput;
  payment: Payable | undefined;
  status: Status = "pending";
  late = false;
  watchUntil: number;
  inbox: Report[] = [];
  checkAsked = false;
  cancelAsked = false;
  crediting = false;
  queries = 0;
  private pauseMs: number;
  private nextQueryAt: number;
  private note = "";
  private readonly worthless = new Set<string>();

  constructor(input: TopUpInput, now: number) {
    this.input = input;
    this.watchUntil = input.watchUntil;
    this.pauseMs = input.poll.firstMs;
    this.nextQueryAt = now + this.pauseMs;
  }

  get open(): boolean {
    return this.status === "pending" || this.status === "paid";
  }

  get completed(): boolean {
    return this.status === "completed" || this.status === "refunded";
  }

  /** Why a cancellation is refused, if it is. */
  refusesCancel(): string | undefined {
    if (!this.open) return `the order is ${this.status}`;
    if (this.status === "paid" || this.crediting || this.inbox.length > 0) return "a payment has arrived";
    return undefined;
  }

  opened(payment: Payable, now: number): void {
    this.payment = payment;
    this.moveTo(payment.status, now);
  }

  /** Takes a report, unless it waits already or was found worthless before: a query repeats what it once said. */
  notice(report: Report): void {
    const known = this.inbox.some((other) => keyOf(other) === keyOf(report));
    if (!known && !this.worthless.has(keyOf(report))) this.inbox.push(report);
  }

  /** Something in the inbox, an asked check or cancellation, or the time of the next query or of the end. */
  get disturbed(): boolean {
    return this.inbox.length > 0 || this.checkAsked || (this.cancelAsked && this.open);
  }

  next(now: number): Step {
    if (this.inbox.length > 0) return "credit";
    if (this.completed) return "end";
    if (this.open && (this.cancelAsked || now >= this.input.expiresAt)) return "close";
    // An order that was never payable is not watched.
    if (!this.open && (now >= this.watchUntil || !this.payment?.payable)) return "end";
    return this.checkAsked || now >= this.nextQueryAt ? "query" : "wait";
  }

  /** Milliseconds until something is due by the clock. */
  waitMs(now: number): number {
    const end = this.open ? this.input.expiresAt : this.watchUntil;
    return Math.max(1, Math.min(this.nextQueryAt, end) - now);
  }

  /** The history has grown long enough for this run. */
  get longEnough(): boolean {
    return this.queries >= this.input.queriesPerRun;
  }

  queried(now: number): void {
    this.queries += 1;
    this.checkAsked = false;
    const { factor, maxMs } = this.open ? this.input.poll : this.input.latePoll;
    this.pauseMs = Math.min(maxMs, Math.round(this.pauseMs * factor));
    this.nextQueryAt = now + this.pauseMs;
  }

  credited(report: Report, result: Credited, now: number): void {
    this.late = result.late;
    if (["wrong_amount", "second_payment", "trade_of_another_order"].includes(result.outcome)) this.worthless.add(keyOf(report));
    if (result.outcome === "not_confirmed") {
      // The provider may know better in a moment.
      this.watchUntil = Math.max(this.watchUntil, now + this.input.confirmMs);
      this.pauseMs = this.input.poll.firstMs;
      this.nextQueryAt = now + this.pauseMs;
    }
    if (result.outcome !== "credited" && result.outcome !== "already_credited") this.note = ` · ${result.outcome.replaceAll("_", " ")}`;
    this.moveTo(result.status, now);
  }

  moveTo(status: Status, now: number): void {
    const wasOpen = this.open;
    this.status = status;
    if (wasOpen && CLOSED.includes(status)) {
      this.pauseMs = this.input.latePoll.firstMs;
      this.nextQueryAt = now + this.pauseMs;
    }
  }

  describe(): string {
    const { orderNo } = this.input;
    return `**${orderNo}** ${this.payment?.about ?? ""} · **${this.status}**${this.late ? " late" : ""} · asked the provider ${this.queries} times${this.note}`;
  }

  result(): TopUpResult {
    return { orderNo: this.input.orderNo, status: this.status, late: this.late };
  }
}
