import type { Failure } from "../../pipeline/failure.ts";
import type { Delivered, StreamReader, Usage } from "../../pipeline/format.ts";
import { EVENT_LIMIT, EventCutter, nextBoundary } from "../../sse/cutter.ts";
import { eventData, isWellFormed } from "../../sse/data.ts";
import { EarlyEvents } from "../../sse/early.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { isObject, type Fields } from "../checks.ts";
import { DeliveredContent } from "./delivered.ts";
import { brokeOff, malformed, NOT_A_STREAM, NOT_JSON } from "../events.ts";
import { inBandFailure } from "./errors.ts";
import { StreamedUsage } from "./usage.ts";

const BLANK_LINE = Buffer.from("\n\n");
const DELTA = 'event: content_block_delta\ndata: {"type":"content_block_delta",';
const CLOSE_BRACE = 0x7d;

/**
 * A stream of message events. They pass as bytes. Deltas, which are nearly all of them, pass by their looks and are parsed in batches as
 * they are folded, at the latest before the terminal event goes out; every other event is parsed when it comes.
 */
export class MessagesStream implements StreamReader {
  state: "open" | "done" | "failed" = "open";
  failure: Failure | undefined;
  tail: Buffer | undefined;
  readonly #cutter = new EventCutter();
  readonly #delivered = new DeliveredContent();
  readonly #usage = new StreamedUsage();
  #started = false;
  #begun = false;
  readonly #early = new EarlyEvents();

  get usage(): Usage | undefined {
    return this.#usage.usage;
  }

  get unreadableUsage(): boolean {
    return this.#usage.unreadable;
  }

  push(chunk: Buffer): Buffer | undefined {
    if (this.state !== "open") return undefined;
    const events = this.#cutter.push(chunk);
    if (this.#cutter.pending > EVENT_LIMIT) this.#fail(malformed("The provider sent an event of more than 8 MB"));
    if (!events) return undefined;
    const out = this.#pass(events);
    if (out) this.#delivered.add(out);
    // What passed by its looks is parsed before the end goes out: an answer that cannot be read is neither charged nor ended well.
    if (this.tail) this.#delivered.fold();
    if (this.#delivered.malformed) this.#fail(malformed(NOT_JSON));
    return this.#early.release(out, this.state, this.#delivered);
  }

  end(): Buffer | undefined {
    if (this.state !== "open") return undefined;
    const out = this.#cutter.pending > 0 ? this.push(BLANK_LINE) : undefined;
    if (this.state === "open") this.#fail(this.unreadable ? malformed(NOT_JSON) : brokeOff());
    return out;
  }

  get unreadable(): boolean {
    this.#delivered.fold();
    return this.#delivered.malformed;
  }

  hasContent(): boolean {
    return this.#delivered.hasContent;
  }

  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    return { ...this.#delivered.count(tokenizer, budget), prompt: this.#usage.prompt };
  }

  #fail(why: Failure): void {
    this.state = "failed";
    this.tail = undefined;
    this.failure ??= why;
  }

  /** What of these complete events goes on to the client; the same bytes unless the stream ends in them or begins with a comment. */
  #pass(events: Buffer): Buffer | undefined {
    const text = events.toString("latin1");
    const hasCr = text.includes("\r");
    let from = 0;
    for (let at = 0; at < text.length;) {
      const end = nextBoundary(text, at, hasCr);
      if (hasCr || !isPlainDelta(text, at, end)) {
        const passes = this.#inspect(events.subarray(at, end));
        if (this.state !== "open") return at > from ? events.subarray(from, at) : undefined;
        // Only comments before the first event are left out, so what passes is one piece.
        if (!passes) from = end;
      }
      this.#begun ||= from < end;
      at = end;
    }
    return from < events.length ? events.subarray(from) : undefined;
  }

  /** Whether an event goes on to the client. May end the stream. */
  #inspect(event: Buffer): boolean {
    if (!isWellFormed(event)) {
      this.#fail(malformed(NOT_A_STREAM));
      return false;
    }
    const data = [...eventData(event)].join("\n");
    // A comment keeps the connection alive; before the first event it is no reason to answer 200 yet.
    if (data.trim() === "") return this.#begun;
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      value = undefined;
    }
    if (isObject(value)) this.#read(value, event);
    else this.#fail(malformed(NOT_JSON));
    return true;
  }

  #read(fields: Fields, event: Buffer): void {
    switch (fields["type"]) {
      case "message_start":
        this.#started = true;
        this.#usage.start(isObject(fields["message"]) ? fields["message"]["usage"] : undefined);
        return;
      case "message_delta":
        this.#usage.add(fields["usage"]);
        return;
      case "message_stop":
        if (!this.#started) return this.#fail(malformed("The provider ended an answer that it had not begun"));
        this.state = "done";
        this.tail = event;
        return;
      case "error":
        return this.#fail(inBandFailure(fields));
      default:
        if (fields["error"] || /^event: *error\s*$/m.test(event.toString("latin1", 0, 64))) this.#fail(inBandFailure(fields));
    }
  }
}

/** A delta with its data on one line passes unparsed. Anything cut short or odd fails this look and is parsed. */
function isPlainDelta(text: string, at: number, end: number): boolean {
  return text.startsWith(DELTA, at) && text.charCodeAt(end - 3) === CLOSE_BRACE && text.indexOf("\n", at + DELTA.length) === end - 2;
}
