import type { AnswerKind } from "../../../../src/gateway/pipeline/format.ts";
import type { Asking } from "./askings.ts";

/** What a call comes to. */
export interface Outcome {
  /** The whole answer; an error answer of this status; or an answer that was begun and is broken off: with an error, or cut where bytes leave no place for one. */
  view: "answer" | "broken" | "cut" | number;
  /** Our code in the error; undefined where it is the vendor's. */
  code?: string;
  /**
   * - `full`: what the provider counts
   * - `counted`: what a tokenizer counts, marked as estimated
   * - `output counted`: the same, but for the prompt, which the provider counted
   * - `capped`: the hold and its tolerance; of an app of Dify all that it used
   */
  charge: "full" | "counted" | "output counted" | "capped" | "nothing";
  /** The code on the record; null for a success. */
  record: string | null;
  /** Another provider is asked, if there is one: nothing of this answer has reached the client, and it was not the client's mistake. */
  elsewhere?: boolean;
}

/** One way a provider can end a call, by the kind of answer. See upstreams.md, section 6. */
export interface Fault {
  name: string;
  /** What the demo upstream is told. */
  tell: string;
  stream: Outcome;
  whole: Outcome;
  bytes: Outcome;
  /** For an answer that is plain text, where that is otherwise than for other whole ones. */
  text?: Outcome;
  /** The one time-out of the provider that is short there. */
  short?: "first_byte_ms" | "idle_ms" | "total_ms";
  /** Where a provider can do this at all. */
  only?(asking: Asking): boolean;
  /** The provider's key rests afterwards. */
  rests?: boolean;
  /** What is said then, when it is not what is always said. */
  says?: RegExp;
  /** What operators are told. */
  incident?: string;
  /** The client is told how long to wait, or that asking again is no use. */
  header?: "retry-after" | "x-should-retry";
}

const FULL: Outcome = { view: "answer", charge: "full", record: null };
const COUNTED: Outcome = { view: "answer", charge: "counted", record: null };
const NOTHING: Outcome = { view: "answer", charge: "nothing", record: null };
const refused = (record: string, status = 502, code = "upstream_error"): Outcome => ({
  view: status,
  code,
  charge: "nothing",
  record,
  elsewhere: true,
});
const broken = (record: string, code = "upstream_error"): Outcome => ({ view: "broken", code, charge: "nothing", record });
const cut = (record: string): Outcome => ({ view: "cut", charge: "nothing", record });
const rejected = (status: number): Outcome => ({ view: status, charge: "nothing", record: "upstream_rejected" });

/** What comes of a fault for this kind of answer. */
export const outcomeOf = (fault: Fault, asking: Asking): Outcome =>
  asking.gathered ? gathered(fault) : ((asking.sample.answers === "text" ? fault.text : undefined) ?? fault[asking.answer]);

/** What is made of a stream has its faults, and no client has seen any of it. Dify's error in a stream is its answer to a blocking call. */
function gathered({ stream, whole }: Fault): Outcome {
  if (stream.view !== "broken") return stream;
  if (stream.record === "upstream_error_event") return rejected(400);
  const elsewhere = whole.record !== stream.record || whole.elsewhere === true;
  return { ...refused(stream.record!, stream.code === "upstream_timeout" ? 504 : 502, stream.code), elsewhere };
}

type Row = Omit<Fault, AnswerKind>;
/** The same however the answer comes. */
const always = (row: Row, outcome: Outcome): Fault => ({ ...row, stream: outcome, whole: outcome, bytes: outcome });
const row = (about: Row, stream: Outcome, whole: Outcome, bytes: Outcome): Fault => ({ ...about, stream, whole, bytes });

const told = (name: string, fault: string, more: Partial<Row> = {}): Row => ({ name, tell: `[[fault:${fault}]]`, ...more });
const status = (code: number, more: Partial<Row> = {}): Row => told(`status ${code}`, `status code=${code}`, more);

const counting = ({ counts }: Asking): boolean => counts;
const noRepeat = { header: "x-should-retry" } as const;
const wording = ({ words }: Asking): boolean => words;
const streaming = ({ answer }: Asking): boolean => answer === "stream";
const greeting = ({ answer, greets }: Asking): boolean => answer === "stream" && greets;
const speaks =
  (format: string) =>
  (asking: Asking): boolean =>
    asking.speaks === format;
const heardBy =
  (vendor: "openai" | "anthropic") =>
  (asking: Asking): boolean =>
    asking.format.voice.vendor === vendor;
const both =
  (...all: ((asking: Asking) => boolean)[]) =>
  (asking: Asking): boolean =>
    all.every((one) => one(asking));
/** A picture is the end of its stream. */
const endless = ({ answer, format }: Asking): boolean => answer !== "stream" || !format.route.startsWith("/v1/images/");
const isRun = ({ format }: Asking): boolean => format.route === "/dify/v1/workflows/run";
const chatAtOpenai = (asking: Asking): boolean => asking.speaks === "openai" && asking.format.route.endsWith("/chat/completions");

const USAGE: Fault[] = [
  always({ name: "usage", tell: "" }, FULL),
  always(told("an explicit zero", "zero_usage", { only: counting }), NOTHING),
  always(told("no usage", "no_usage"), COUNTED),
  always(told("usage at the beginning alone", "no_usage where=end", { only: both(speaks("claude"), streaming) }), {
    ...COUNTED,
    charge: "output counted",
  }),
  ...["text", "float", "huge", "shape"].map((kind) =>
    always(told(`usage that cannot be read: ${kind}`, `bad_usage kind=${kind}`, { only: counting, incident: "usage_unreadable" }), COUNTED),
  ),
  always(told("usage that is not said: null", "bad_usage kind=null", { only: counting }), COUNTED),
  always(told("negative usage", "bad_usage kind=negative", { only: counting, incident: "usage_clamped" }), NOTHING),
  always(told("usage larger than the hold", "huge_usage tokens=1000000", { only: counting }), { ...FULL, charge: "capped" }),
  always(told("usage on every chunk", "usage_every_chunk", { only: chatAtOpenai }), FULL),
];

const BEFORE: Fault[] = [
  always(told("dead before the first byte", "dead"), refused("upstream_network")),
  always(told("dead after the headers", "die_after_headers"), refused("upstream_network")),
  always(told("never an answer", "hang", { short: "first_byte_ms" }), refused("upstream_first_byte_timeout", 504, "upstream_timeout")),
  always(
    told("headers and nothing more", "hang_after_headers", { short: "first_byte_ms" }),
    refused("upstream_first_byte_timeout", 504, "upstream_timeout"),
  ),
  always(told("a page instead of an answer", "html_page"), refused("upstream_malformed")),
  always(told("a page with an error status", "html_page code=502"), refused("upstream_5xx")),
  always(told("a redirect", "redirect", noRepeat), refused("upstream_refused")),
  always(told("a compressed answer", "compressed"), refused("upstream_malformed")),
  always(told("headers without end", "huge_headers"), refused("upstream_malformed")),
  row(told("a wrong content type", "wrong_content_type"), refused("upstream_malformed"), FULL, refused("upstream_malformed")),
  ...[400, 404, 413, 422].map((code) => always(status(code), rejected(code))),
  ...[401, 402, 403].map((code) => always(status(code, noRepeat), refused("upstream_refused"))),
  always(status(408), refused("upstream_timeout", 504, "upstream_timeout")),
  always(
    told("status 429", "status code=429 retry_after=7", { header: "retry-after", rests: true }),
    refused("upstream_rate_limited", 429, "upstream_rate_limited"),
  ),
  ...[500, 502, 503, 504].map((code) => always(status(code), refused("upstream_5xx"))),
  always(status(529, { only: speaks("openai") }), refused("upstream_5xx")),
  // An overload keeps its own status; OpenAI's clients know another one for it.
  always(status(529, { only: both(speaks("claude"), heardBy("anthropic")) }), refused("upstream_5xx", 529)),
  always(status(529, { only: both(speaks("claude"), heardBy("openai")) }), refused("upstream_5xx", 503)),
];

const MIDDLE: Fault[] = [
  row(told("dead in the middle", "die_mid_stream"), broken("upstream_closed"), refused("upstream_closed"), cut("upstream_closed")),
  always(told("dead after a greeting", "die_mid_stream after=0", { only: greeting }), refused("upstream_closed")),
  row(
    told("an error in the middle", "error_in_band"),
    broken("upstream_error_event"),
    refused("upstream_error_event"),
    cut("upstream_closed"),
  ),
  always(
    told("an error after a greeting", "error_in_band after=0", { only: both(greeting, speaks("openai")) }),
    refused("upstream_error_event"),
  ),
  ...(
    [
      ["anthropic", 529],
      ["openai", 503],
    ] as const
  ).map(([vendor, code]) =>
    always(
      told("an overload after a greeting", "error_in_band after=0", { only: both(greeting, speaks("claude"), heardBy(vendor)) }),
      refused("upstream_error_event", code),
    ),
  ),
  row(
    told("a failure in its own words", "failed", { only: (asking) => !isRun(asking) }),
    broken("upstream_error_event"),
    refused("upstream_error_event"),
    cut("upstream_closed"),
  ),
  // A run says itself that it failed, and its clients read that.
  always(told("a run that failed", "failed", { only: isRun, says: /\S/ }), {
    view: "answer",
    charge: "nothing",
    record: "upstream_run_failed",
  }),
  row(told("an end in the middle", "no_terminal", { text: FULL }), broken("upstream_closed"), refused("upstream_malformed"), FULL),
  row(told("everything but the last event", "no_done"), broken("upstream_closed"), FULL, FULL),
  row(
    told("usage and the end in the last words", "usage_last_chunk_no_done", { only: chatAtOpenai }),
    broken("upstream_closed"),
    FULL,
    FULL,
  ),
  row(told("bad JSON", "bad_json", { text: FULL }), broken("upstream_malformed"), refused("upstream_malformed"), FULL),
  row(
    told("silence", "silent", { short: "idle_ms" }),
    broken("upstream_idle_timeout", "upstream_timeout"),
    refused("upstream_idle_timeout", 504, "upstream_timeout"),
    cut("upstream_idle_timeout"),
  ),
  row(
    told("no end", "endless", { short: "total_ms", says: /\S/, only: endless }),
    broken("upstream_total_timeout", "upstream_timeout"),
    { ...refused("upstream_total_timeout", 504, "upstream_timeout"), elsewhere: false },
    cut("upstream_total_timeout"),
  ),
  always(
    told("more than 64 MB", "endless every=0ms", { only: ({ answer, gathered: made }) => answer === "whole" && !made }),
    refused("upstream_malformed"),
  ),
  row(told("a length that lies", "content_length_lie"), FULL, refused("upstream_closed"), refused("upstream_closed")),
  row(
    told("an event over 8 MB", "big_event bytes=9000000", { says: /large piece|^\S+ $/, only: wording }),
    broken("upstream_malformed"),
    FULL,
    FULL,
  ),
];

const WIRE: Fault[] = [
  always(told("an event of 1 MB", "big_event", { says: /^\S+ (large piece ){9999}/, only: wording }), FULL),
  always(told("2000 tiny events", "tiny_events count=2000", { says: /^(abcdefghij){200}$/, only: wording }), FULL),
  always(told("characters cut in two", "split_utf8", { says: /^汉字 [^\uFFFD]*$/u, only: wording }), FULL),
  always(told("single bytes", "trickle bytes=1 every=0ms"), FULL),
  always(told("CR LF", "crlf"), FULL),
  always(told("comments", "comments"), FULL),
  always(told("fields nobody knows", "unknown_fields"), FULL),
  always(told("events nobody knows", "unknown_events"), FULL),
  always(told("bytes after the answer", "extra_bytes"), FULL),
  row(told("more after the end", "extra_data", { text: FULL }), FULL, refused("upstream_malformed"), FULL),
];

/** Every way a provider can end a call. */
export const FAULTS: readonly Fault[] = [...USAGE, ...BEFORE, ...MIDDLE, ...WIRE];
