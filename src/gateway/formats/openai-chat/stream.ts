import { failure, type Failure } from "../../pipeline/failure.ts";
import type { Delivered, StreamReader, Usage } from "../../pipeline/format.ts";
import { EVENT_LIMIT, EventCutter } from "../../sse/cutter.ts";
import { eventData, isWellFormed } from "../../sse/data.ts";
import { EarlyEvents } from "../../sse/early.ts";
import { sift } from "../../sse/sift.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { malformed, NOT_A_STREAM, NOT_JSON } from "../events.ts";
import { DeliveredContent } from "./delivered.ts";
import { endsInError, inBandFailure } from "./errors.ts";
import { readUsage } from "./usage.ts";

const DONE = Buffer.from("data: [DONE]\n\n");
const BLANK_LINE = Buffer.from("\n\n");
const OPEN_BRACE = 0x7b;
const QUOTE = 0x22;
const CLOSE_BRACE = 0x7d;

/** Whether `"usage"` stands in the text with a value other than null: asked to report usage, OpenAI writes `"usage":null` on every chunk. */
export function mentionsUsage(text: string): boolean {
  for (let at = text.indexOf('"usage"'); at >= 0; at = text.indexOf('"usage"', at + 7)) {
    let next = at + 7;
    while (text[next] === " " || text[next] === ":") next += 1;
    if (!text.startsWith("null", next)) return true;
  }
  return false;
}

/**
 * A chat completion stream. Events pass as bytes; one is parsed only when a search finds "usage" or "error" in it or when it does not look
 * like a single line of JSON; the rest are parsed in batches as they are folded, at the latest before the terminal event goes out. A match
 * inside text is harmless, because the parsed value decides.
 */
export class ChatStream implements StreamReader {
  state: "open" | "done" | "failed" = "open";
  failure: Failure | undefined;
  tail: Buffer | undefined;
  usage: Usage | undefined;
  unreadableUsage = false;
  readonly #showUsage: boolean;
  readonly #endsWithoutTerminal: boolean;
  readonly #choices: number;
  readonly #cutter = new EventCutter();
  readonly #delivered = new DeliveredContent();
  #begun = false;
  readonly #early = new EarlyEvents();

  /** `choices`: how many answers were asked for; the stream of a provider that says no end is whole when all of them are. */
  constructor(options: { showUsage: boolean; endsWithoutTerminal: boolean; choices: number }) {
    this.#choices = options.choices;
    this.#showUsage = options.showUsage;
    this.#endsWithoutTerminal = options.endsWithoutTerminal;
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
    if (this.state !== "open") return out;
    const finished = this.#endsWithoutTerminal && this.#delivered.allFinished(this.#choices);
    if (this.unreadable) this.#fail(malformed(NOT_JSON));
    else if (finished) this.#done(DONE);
    else
      this.#fail(
        failure("upstream_error", {
          message: "The provider's stream broke off",
          record: "upstream_closed",
          class: "network",
          elsewhere: true,
        }),
      );
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
    return this.#delivered.count(tokenizer, budget);
  }

  #fail(why: Failure): void {
    this.state = "failed";
    this.tail = undefined;
    this.failure ??= why;
  }

  #done(tail: Buffer): void {
    this.state = "done";
    this.tail = tail;
  }

  /** What of these complete events goes on to the client; the same bytes unless something has to be left out. */
  #pass(events: Buffer): Buffer | undefined {
    const text = events.toString("latin1");
    const telling = text.includes('"error"') || mentionsUsage(text);
    return sift(events, text, this, (at, end, hasCr) => {
      const passes = !telling && !hasCr && isPlainJson(text, at, end) ? true : this.#inspect(events.subarray(at, end));
      if (passes !== false) this.#begun = true;
      return passes;
    });
  }

  /** True passes the event on, false leaves it out, bytes take its place. May end the stream. */
  #inspect(event: Buffer): boolean | Buffer {
    if (!isWellFormed(event)) {
      this.#fail(malformed(NOT_A_STREAM));
      return false;
    }
    const data = [...eventData(event)].join("\n");
    // A comment keeps the connection alive; before the first event it is no reason to answer 200 yet.
    if (data.trim() === "") return this.#begun;
    if (data.trim() === "[DONE]") {
      this.#done(event);
      return false;
    }
    let chunk: unknown;
    try {
      chunk = JSON.parse(data);
    } catch {
      chunk = undefined;
    }
    if (typeof chunk !== "object" || chunk === null || Array.isArray(chunk)) {
      this.#fail(malformed(NOT_JSON));
      return false;
    }
    const fields = chunk as Record<string, unknown>;
    if (fields["error"] || endsInError(fields) || /^event: *error\s*$/m.test(event.toString("latin1", 0, 64))) {
      this.#fail(inBandFailure(fields));
      return false;
    }
    return fields["usage"] === undefined || fields["usage"] === null ? true : this.#noteUsage(fields);
  }

  #noteUsage(fields: Record<string, unknown>): boolean | Buffer {
    this.usage = readUsage(fields["usage"]);
    this.unreadableUsage = this.usage === undefined;
    if (this.#showUsage) return true;
    const choices = fields["choices"];
    if (!Array.isArray(choices) || choices.length === 0) return false;
    const { usage: _taken, ...rest } = fields;
    return Buffer.from(`data: ${JSON.stringify(rest)}\n\n`);
  }
}

/** `data: {…}` on one line: passes unparsed. Anything cut short or odd fails this look and is parsed. */
function isPlainJson(text: string, at: number, end: number): boolean {
  if (!text.startsWith("data:", at)) return false;
  const from = text.charCodeAt(at + 5) === 0x20 ? at + 6 : at + 5;
  if (text.charCodeAt(from) !== OPEN_BRACE || text.charCodeAt(from + 1) !== QUOTE) return false;
  return text.charCodeAt(end - 3) === CLOSE_BRACE && text.indexOf("\n", from) === end - 2;
}
