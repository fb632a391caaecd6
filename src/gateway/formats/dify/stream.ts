import type { TokenClasses } from "../../../pricing/index.ts";
import type { Failure } from "../../pipeline/failure.ts";
import type { Delivered, Made, StreamReader, Usage } from "../../pipeline/format.ts";
import { EVENT_LIMIT, EventCutter } from "../../sse/cutter.ts";
import { eventData, isWellFormed } from "../../sse/data.ts";
import { sift } from "../../sse/sift.ts";
import { countOf } from "../../tokens/classes.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { isObject, type Fields } from "../checks.ts";
import { brokeOff, malformed, NOT_A_STREAM, NOT_JSON } from "../events.ts";
import { isUnreadable } from "../whole.ts";
import { DeliveredWords } from "./delivered.ts";
import { inBandFailure, runFailed, withoutSecrets } from "./errors.ts";
import { formsIn, madeIn } from "./made.ts";
import { partTotal, readTotal, readUsage, restOf, type Parting } from "./usage.ts";

/** Which of Dify's streams it is: a workflow has no message, and ends by itself. */
export type StreamKind = "message" | "workflow";

const BLANK_LINE = Buffer.from("\n\n");
/** Pieces of an answer pass by their looks: Dify writes the event's name first. */
const PIECE = /data: ?\{ ?"event": ?"(?:message|agent_message|text_chunk|reasoning_chunk|tts_message)"/y;
/** What may follow the end of a message and belongs to the answer. */
const AFTERWARDS: ReadonlySet<unknown> = new Set(["workflow_finished", "node_finished", "tts_message", "tts_message_end"]);

/**
 * A stream of Dify. Pieces of the answer pass as bytes and unparsed, other events are looked at. The end of the message or run is held
 * back, with what follows it, until Dify closes the stream: a chatflow says both, and speech may come last.
 */
export class DifyStream implements StreamReader {
  state: "open" | "done" | "failed" = "open";
  failure: Failure | undefined;
  tail: Buffer | undefined;
  unreadableUsage = false;
  made: Made | undefined;
  closing = false;
  /** The event by which Dify said that it failed. */
  said: Fields | undefined;
  /** It is an agent's. */
  agent = false;
  readonly #kind: StreamKind;
  readonly #parting: Parting;
  readonly #cutter = new EventCutter();
  readonly #delivered = new DeliveredWords();
  #begun = false;
  /** What is held back. */
  #last: Buffer[] = [];
  #lastBytes = 0;
  #messageEnded = false;
  #runFailed = false;
  #runStopped = false;
  /** Of the message; of the run, which knows a total only. */
  #usage: Usage | undefined;
  /** Of the nodes that have finished. */
  #nodeTokens = 0;

  constructor(kind: StreamKind, parting: Parting) {
    this.#kind = kind;
    this.#parting = parting;
  }

  get usage(): Usage | undefined {
    return this.#usage && !this.#cutShort ? restOf(this.#usage, this.#parting) : undefined;
  }

  /** Of a run that is stopped Dify may know no more than the nodes that have finished: the one that was speaking is in no usage then. */
  get #cutShort(): boolean {
    if (!this.#runStopped || !this.#delivered.hasNew) return false;
    const said = this.#usage?.tokens;
    return !said || said.input + said.output <= this.#nodeTokens;
  }

  push(chunk: Buffer): Buffer | undefined {
    if (this.state !== "open") return undefined;
    const events = this.#cutter.push(chunk);
    if (this.#cutter.pending > EVENT_LIMIT) this.#fail(malformed("The provider sent an event of more than 8 MB"));
    if (!events) return undefined;
    const out = this.#pass(events);
    if (out) this.#delivered.add(out);
    if (this.#delivered.malformed) this.#fail(malformed(NOT_JSON));
    return out;
  }

  end(): Buffer | undefined {
    if (this.state !== "open") return undefined;
    const out = this.#cutter.pending > 0 ? this.push(BLANK_LINE) : undefined;
    if (this.state !== "open") return out;
    if (this.unreadable) this.#fail(malformed(NOT_JSON));
    else if (this.closing) this.#close();
    else this.#fail(brokeOff());
    return out;
  }

  get unreadable(): boolean {
    this.#delivered.fold();
    return this.#delivered.malformed;
  }

  get characters(): number {
    return this.#delivered.characters;
  }

  hasContent(): boolean {
    return this.closing || this.#nodeTokens > 0 || this.#delivered.hasContent;
  }

  /** What finished nodes have used is known, if only as a total; the words since are counted. */
  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    const tokens = this.#delivered.count(tokenizer, budget);
    const finished = this.#finished;
    if (!finished) return { content: tokens > 0, tokens, promptToo: this.#cutShort };
    const known = restOf({ tokens: finished, notes: [] }, this.#parting).tokens;
    return { content: true, tokens: known.output + tokens, prompt: { ...known, output: 0 }, promptToo: tokens > 0 };
  }

  /** What nodes have used that have finished, as far as it is known. */
  get #finished(): TokenClasses | undefined {
    const said = this.#usage?.tokens;
    if (said && said.input + said.output > 0 && said.input + said.output >= this.#nodeTokens) return said;
    return this.#nodeTokens > 0 ? partTotal(this.#nodeTokens, this.#parting.inputPercent) : undefined;
  }

  #fail(why: Failure): void {
    this.state = "failed";
    this.tail = undefined;
    this.failure ??= why;
  }

  #close(): void {
    const last = Buffer.concat(this.#last);
    if (this.#runFailed && !this.#messageEnded) return this.#fail(runFailed(last));
    this.state = "done";
    this.tail = last;
  }

  /** What goes on after a pause may be a run alone, or a message's. */
  get #ofMessage(): boolean {
    return this.#kind === "message" || this.made?.message !== undefined;
  }

  /** Nothing more is said. A chatflow's run ends before its message does. */
  get #ended(): boolean {
    return this.#messageEnded || (this.closing && !this.#ofMessage);
  }

  /** What of these complete events goes on to the client now. */
  #pass(events: Buffer): Buffer | undefined {
    const text = events.toString("latin1");
    return sift(events, text, this, (at, end, hasCr) => {
      const plain = this.#begun && !this.closing && !hasCr && isPiece(text, at, end);
      return plain || this.#inspect(events.subarray(at, end));
    });
  }

  /** True passes the event on, false does not, bytes take its place. May end the stream. */
  #inspect(event: Buffer): boolean | Buffer {
    if (!isWellFormed(event)) {
      this.#fail(malformed(NOT_A_STREAM));
      return false;
    }
    const data = [...eventData(event)].join("\n");
    // A ping has no data. Before the first event it is no reason to answer 200 yet.
    if (data.trim() === "") return this.#begun;
    const fields = parse(data);
    if (!fields) {
      this.#fail(malformed(NOT_JSON));
      return false;
    }
    if (fields["event"] === "error") {
      this.said = fields;
      this.#failInBand(fields);
      return false;
    }
    if (fields["event"] === "agent_thought" || fields["event"] === "agent_message") this.agent = true;
    if (!this.#begun || this.made === undefined) this.made ??= madeIn(fields, this.#settled);
    this.#readPause(fields);
    this.#begun = true;
    const bytes = withoutSecrets(fields) ? Buffer.from(`data: ${JSON.stringify(fields)}\n\n`) : event;
    if (this.#ended && !AFTERWARDS.has(fields["event"])) return false;
    this.#readEnd(fields);
    if (!this.closing) return bytes === event ? true : bytes;
    this.#holdBack(bytes);
    return false;
  }

  /** Of a run that goes on: what was charged before. */
  get #settled(): number | undefined {
    const { resumed, settled } = this.#parting;
    return resumed ? settled.input + settled.output : undefined;
  }

  #readPause(fields: Fields): void {
    const name = fields["event"];
    if (!this.made || (name !== "human_input_required" && name !== "workflow_paused")) return;
    const forms = [...new Set([...(this.made.forms ?? []), ...formsIn(fields)])];
    this.made = { ...this.made, forms, ...(name === "workflow_paused" ? { paused: true as const } : {}) };
  }

  #readEnd(fields: Fields): void {
    const data = isObject(fields["data"]) ? fields["data"] : {};
    switch (fields["event"]) {
      case "message_end":
        this.#messageEnded = true;
        return this.#endWith(isObject(fields["metadata"]) ? fields["metadata"]["usage"] : undefined, readUsage);
      case "workflow_finished":
        this.#runFailed = data["status"] === "failed";
        this.#runStopped = data["status"] === "stopped";
        return this.#messageEnded ? undefined : this.#endWith(data["total_tokens"], () => readTotal(data, this.#parting));
      case "workflow_paused":
        return this.#endPaused(data);
      case "node_finished":
        return this.#noteNode(data);
    }
  }

  #endWith(said: unknown, read: (said: unknown) => Usage | undefined): void {
    const usage = read(said);
    this.unreadableUsage = isUnreadable(said, usage);
    // A message's own usage is exact; what its run said before was a total.
    if (usage || !this.#ofMessage || this.unreadableUsage) this.#usage = usage;
    this.closing = true;
  }

  /** Nothing more comes before a person has answered: what is known is charged now, the rest when the run has finished. */
  #endPaused(data: Fields): void {
    this.#endWith(data["total_tokens"], () => readTotal(data, this.#parting));
    if (!this.#usage && this.#nodeTokens > 0) this.#usage = { tokens: partTotal(this.#nodeTokens, this.#parting.inputPercent), notes: [] };
  }

  /** Nodes inside a loop are counted with the loop. */
  #noteNode(data: Fields): void {
    const tokens = countOf(data["execution_metadata"], "total_tokens");
    if (tokens === undefined || Number.isNaN(tokens) || tokens <= 0 || data["iteration_id"] || data["loop_id"]) return;
    this.#nodeTokens += tokens;
    this.#delivered.forget();
  }

  #holdBack(bytes: Buffer): void {
    this.#lastBytes += bytes.length;
    if (this.#lastBytes <= EVENT_LIMIT) this.#last.push(bytes);
  }

  /** A chatflow that fails says so twice. */
  #failInBand(fields: Fields): void {
    const why = inBandFailure(fields);
    if (!this.closing) return this.#fail(why);
    const words = { event: "error", code: "upstream_error", message: why.message, status: why.status };
    this.#fail({ ...why, verbatim: Buffer.concat([...this.#last, Buffer.from(`data: ${JSON.stringify(words)}\n\n`)]) });
  }
}

/** A piece of an answer in one line of JSON that is whole by its looks. */
function isPiece(text: string, at: number, end: number): boolean {
  PIECE.lastIndex = at;
  return PIECE.test(text) && text.charCodeAt(end - 3) === 0x7d && text.indexOf("\n", at) === end - 2;
}

function parse(data: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(data);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
