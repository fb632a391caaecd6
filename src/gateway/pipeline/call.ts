import type { IncomingMessage, ServerResponse } from "node:http";
import type { CallerKey } from "../../identity/index.ts";
import { uuidv7 } from "../../platform/ids.ts";
import { ONE, type PricedModel, type PriceVersion } from "../../pricing/index.ts";
import type { UsageEvent } from "../../usage/index.ts";
import type { Permit } from "../limits/index.ts";
import type { Candidate } from "../providers/index.ts";
import type { Route } from "../routing/index.ts";
import type { CallTrace } from "../trace.ts";
import type { Exchange } from "../upstream/exchange.ts";
import type { CachedAnswer } from "../cache/index.ts";
import type { Answer } from "./answer.ts";
import type { Attempt } from "./attempt.ts";
import type { Failure } from "./failure.ts";
import type { Following } from "./follow.ts";
import type { Dialect, Format, KeptAnswer, Made, RelayRequest, StreamReader, Usage } from "./format.ts";

/**
 * - `admitting`: who calls, what, within which limits, for how much
 * - `relaying`: a provider works
 * - `waiting`: every provider has failed; the call is sent again in a moment
 * - `settling`: the provider is done or failed; the record or release is on its way to Postgres
 * - `ended`: the last byte was handed to the client's socket
 */
export type Phase = "admitting" | "relaying" | "waiting" | "settling" | "ended";

/** One relayed call from its first byte to its last: the one thing here with a life. All times are `performance.now()`. */
export class Call {
  /** Also the id of its hold and of its usage event; always ours. */
  readonly id = uuidv7();
  /** What the caller is told as X-Request-ID; the caller's own when it sent a sane one. */
  readonly traceId: string;
  readonly format: Format;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly answer: Answer;
  /** The caller's address. */
  readonly ip: string;
  readonly startedAt = new Date();
  readonly startedMs = performance.now();
  phase: Phase = "admitting";
  /** The client's connection is gone. */
  gone = false;

  /** When it is sampled. */
  trace: CallTrace | undefined;
  caller: CallerKey | undefined;
  request: RelayRequest | undefined;
  model: PricedModel | undefined;
  price: PriceVersion | undefined;
  /** What the price is multiplied by, in millionths; like the price, as at the call's beginning. */
  priceMultiplier = ONE;
  permit: Permit | undefined;
  /** True from a successful hold to its record or release. */
  holdOpen = false;
  held = 0n;
  /** What its model counts in quotas, in percent; undefined while nothing but credits counts for its caller. */
  quotaWeight: number | undefined;
  /** What the wallet had available after the hold, in micro-credits. */
  balance: bigint | undefined;
  /** Whether the prompt has been counted and the cap settled. */
  measured = false;
  promptTokens = 0;
  /** How many more it may turn out to have: pictures and files that only the provider sees. */
  unseenTokens = 0;
  /** What the provider adds to the prompt of an earlier answer it keeps. */
  carriedTokens = 0;
  /** Output tokens that may be charged beside the answers, for all choices. */
  besideAnswer = 0;
  /** The most output tokens all choices may have together. */
  outputLimit = 0;
  /** The cap to write into the provider's request, when it is not the client's own. */
  sentCap: number | undefined;

  candidates: readonly Candidate[] = [];
  /** Requests sent to providers so far. */
  readonly tries: Attempt[] = [];
  /** Where the last of them went. */
  route: Route | undefined;
  /** The first of those of the present round, in which each provider is asked once, and how many rounds there were before. */
  roundFrom = 0;
  rounds = 0;
  /** Of the conversation it belongs to. */
  session: number | undefined;
  /** Decides the key alone, for what a provider keeps. */
  keySession: number | undefined;
  /** While it is waiting, for a permit or to be sent again. */
  cancelWait: (() => void) | undefined;
  exchange: Exchange | undefined;
  upstreamRequestId: string | null = null;
  /** How the provider in use is spoken to. */
  dialect: Dialect | undefined;
  reader: StreamReader | undefined;
  /** Of the answer; what the provider said, where that is passed on. */
  contentType: string | undefined;
  /** Usage of a complete answer. */
  usage: Usage | undefined;
  /** What the provider keeps of a complete answer. */
  kept: KeptAnswer | undefined;
  /** Oddities of what the provider said it used, beside those of its usage. */
  notes: readonly string[] = [];
  /** What the provider has made for the caller. */
  made: Made | undefined;
  /** What it reads on for, when its client has its answer. */
  following: Following | undefined;
  /** Since when the provider's answer is read on without its client, for what it used: it was told to stop. */
  leftMs: number | undefined;
  /** Its client is gone, and the provider's answer is read on only for what is needed to stop it. */
  awaitsStop = false;
  /** The provider answered a request for a stream with a whole answer. */
  cameWhole = false;
  /** A complete answer had usage that cannot be read. */
  unreadableUsage = false;

  sentMs = 0;
  firstByteMs: number | null = null;
  lastReadMs = 0;
  /** Of the client's connection, when it was last looked at while the body came. */
  bytesRead = -1;
  lastWriteMs = 0;
  /** Since when the client has not taken what it was sent; undefined while it does. */
  stalledMs: number | undefined;
  endedMs = 0;
  /** What it was answered before, when that is what it gets. */
  cached: CachedAnswer | undefined;
  /** Where its answer is to be kept, and what of it has come. */
  toCache: { place: string; parts: Buffer[]; bytes: number } | undefined;
  /** What of a stream waits for its check. */
  withheld: { parts: Buffer[]; bytes: number } | undefined;
  /** How often, and when last, a client that closed its half of the connection was looked for. */
  looks = 0;
  lookedMs = 0;
  /** Its durable record, by which it is charged. */
  charge: UsageEvent | undefined;
  /** Why it failed, when that came to light after its provider was done. */
  failed: Failure | undefined;
  /** Any event has been handed to the client's socket. */
  delivered = false;

  constructor(format: Format, req: IncomingMessage, answer: Answer, ip: string) {
    this.format = format;
    this.req = req;
    this.answer = answer;
    this.ip = ip;
    this.res = answer.res;
    this.traceId = answer.traceId;
    this.lastWriteMs = this.startedMs;
  }

  /** The provider in use, or undefined before one was chosen. */
  get candidate(): Candidate | undefined {
    return this.route?.candidate;
  }
}
