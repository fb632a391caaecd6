import { failure, type Failure } from "../pipeline/failure.ts";
import type { Delivered, KeptAnswer, StreamReader, Usage } from "../pipeline/format.ts";
import { EVENT_LIMIT, EventCutter, nextBoundary } from "../sse/cutter.ts";
import { isField } from "../sse/data.ts";
import { EarlyEvents } from "../sse/early.ts";
import type { Budget, Tokenizer } from "../tokens/index.ts";
import type { Fields } from "./checks.ts";

const BLANK_LINE = Buffer.from("\n\n");

export const NOT_JSON = "The provider sent an event that is not JSON";
export const NOT_A_STREAM = "The provider sent a line that is not part of a stream";

export const malformed = (message: string): Failure =>
  failure("upstream_error", { message, record: "upstream_malformed", class: "malformed", elsewhere: true });

export const brokeOff = (): Failure =>
  failure("upstream_error", { message: "The provider's stream broke off", record: "upstream_closed", class: "network", elsewhere: true });

/** One event with data; `name` is what its `event` line says. */
export interface JsonEvent {
  name: string | undefined;
  fields: Fields;
}

/** What a format makes of the events of one stream. */
export interface Judge {
  /** `pass` hands the event on, `end` makes it the last one, a failure ends the stream as failed. */
  judge(event: JsonEvent): "pass" | "end" | Failure;
  /** Whether what was judged so far had content. */
  readonly hasContent: boolean;
  readonly usage: Usage | undefined;
  readonly unreadableUsage: boolean;
  readonly kept?: KeptAnswer | undefined;
  /** The number our own last event would have. */
  readonly nextNumber?: number;
  count(tokenizer: Tokenizer, budget: Budget): Delivered;
}

/**
 * Reads a stream of JSON events that its judge understands. Every event is parsed as it comes and passes on as the bytes it came in;
 * none passes before the first with content. A stream that stops without the event its judge calls the end has failed.
 */
export class EventReader implements StreamReader {
  state: "open" | "done" | "failed" = "open";
  failure: Failure | undefined;
  tail: Buffer | undefined;
  /** Nothing passes unparsed here. */
  readonly unreadable = false;
  readonly #judge: Judge;
  readonly #cutter = new EventCutter();
  readonly #early = new EarlyEvents();
  #begun = false;

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  get usage(): Usage | undefined {
    return this.#judge.usage;
  }

  get unreadableUsage(): boolean {
    return this.#judge.unreadableUsage;
  }

  get kept(): KeptAnswer | undefined {
    return this.#judge.kept;
  }

  get nextNumber(): number {
    return this.#judge.nextNumber ?? 0;
  }

  hasContent(): boolean {
    return this.#judge.hasContent;
  }

  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    return this.#judge.count(tokenizer, budget);
  }

  push(chunk: Buffer): Buffer | undefined {
    if (this.state !== "open") return undefined;
    const events = this.#cutter.push(chunk);
    if (this.#cutter.pending > EVENT_LIMIT) this.#fail(malformed("The provider sent an event of more than 8 MB"));
    return this.#early.release(events && this.#read(events), this.state, this.#judge);
  }

  end(): Buffer | undefined {
    if (this.state !== "open") return undefined;
    const out = this.#cutter.pending > 0 ? this.push(BLANK_LINE) : undefined;
    if (this.state === "open") this.#fail(brokeOff());
    return out;
  }

  #fail(why: Failure): void {
    if (this.state === "failed") return;
    this.state = "failed";
    this.failure = why;
  }

  /** The part of these complete events that passes on. May end the stream. */
  #read(events: Buffer): Buffer | undefined {
    const text = events.toString("latin1");
    const hasCr = text.includes("\r");
    let from = 0;
    let to = 0;
    for (let at = 0; at < text.length && this.state === "open";) {
      const end = nextBoundary(text, at, hasCr);
      if (this.#inspect(events.subarray(at, end))) to = end;
      // A comment before the first event is no reason to answer 200 yet.
      if (!this.#begun) from = end;
      at = end;
    }
    return to > from ? events.subarray(from, to) : undefined;
  }

  /** Whether the event passes on. */
  #inspect(event: Buffer): boolean {
    let name: string | undefined;
    let data: string | undefined;
    for (const line of linesOf(event.toString("utf8"))) {
      if (line === "") continue;
      if (line.startsWith("data:")) {
        const value = line.slice(line[5] === " " ? 6 : 5);
        data = data === undefined ? value : `${data}\n${value}`;
      } else if (line.startsWith("event:")) name = line.slice(line[6] === " " ? 7 : 6);
      else if (!isField(line)) {
        this.#fail(malformed(NOT_A_STREAM));
        return false;
      }
    }
    // A comment keeps the connection alive.
    if (data === undefined || data.trim() === "") return true;
    const fields = parse(data);
    if (fields === undefined) {
      this.#fail(data.trim() === "[DONE]" ? brokeOff() : malformed(NOT_JSON));
      return false;
    }
    const verdict = this.#judge.judge({ name, fields });
    this.#begun = true;
    if (verdict === "pass") return true;
    if (verdict === "end") {
      this.state = "done";
      this.tail = event;
    } else this.#fail(verdict);
    return false;
  }
}

/** Splitting by a pattern costs several times as much, and few vendors send CR. */
const linesOf = (text: string): string[] => (text.includes("\r") ? text.split(/\r\n|\n|\r/) : text.split("\n"));

function parse(data: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}
