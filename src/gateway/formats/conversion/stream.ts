import type { TokenClasses } from "../../../pricing/index.ts";
import type { Failure } from "../../pipeline/failure.ts";
import type { Delivered, StreamReader, Usage } from "../../pipeline/format.ts";
import { EVENT_LIMIT, EventCutter } from "../../sse/cutter.ts";
import { eventsIn, type ServerEvent } from "../../sse/events.ts";
import type { GatheredText } from "../../tokens/gathered.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { brokeOff, malformed, NOT_A_STREAM } from "../events.ts";

/** Writes the last events, with what was counted here where the provider has not said what it used. */
export type Tail = (counted?: TokenClasses) => string;

/** What one of the provider's events means for the client; nothing when all are left out. */
export interface Step {
  /** Complete events in the client's format. */
  out?: string;
  /** The provider is done. */
  tail?: Tail;
  failure?: Failure;
}

/** Reads one provider's events and says them in the client's format. */
export interface Conversion {
  readonly usage: Usage | undefined;
  readonly unreadableUsage: boolean;
  /** The content of everything said. */
  readonly texts: GatheredText;
  /** The prompt's classes, when the provider has said them already. */
  readonly prompt: TokenClasses | undefined;
  read(event: ServerEvent & { data: string }): Step;
  /** The provider closed the stream without a terminal event: its tail when that is its way to end. */
  close(): Tail | undefined;
}

const BLANK_LINE = Buffer.from("\n\n");

/** A stream of one format that is handed on in another: every event is read as it comes, none is passed as it was. */
export class ConvertedStream implements StreamReader {
  state: "open" | "done" | "failed" = "open";
  failure: Failure | undefined;
  tail: Buffer | undefined;
  /** Every event was read before it was handed on. */
  readonly unreadable = false;
  readonly #conversion: Conversion;
  readonly #cutter = new EventCutter();
  /** Events that came before any content: held back, for another provider may still have to be asked. */
  #early: string | undefined = "";
  #ending: Tail | undefined;

  constructor(conversion: Conversion) {
    this.#conversion = conversion;
  }

  get usage(): Usage | undefined {
    return this.#conversion.usage;
  }

  get unreadableUsage(): boolean {
    return this.#conversion.unreadableUsage;
  }

  push(chunk: Buffer): Buffer | undefined {
    if (this.state !== "open") return undefined;
    const events = this.#cutter.push(chunk);
    if (this.#cutter.pending > EVENT_LIMIT) this.#fail(malformed("The provider sent an event of more than 8 MB"));
    if (!events || this.state !== "open") return undefined;
    let out = "";
    for (const event of eventsIn(events)) {
      out += this.#read(event);
      if (this.state !== "open") break;
    }
    return this.#release(out);
  }

  end(): Buffer | undefined {
    if (this.state !== "open") return undefined;
    const out = this.#cutter.pending > 0 ? this.push(BLANK_LINE) : undefined;
    if (this.state !== "open") return out;
    const tail = this.#conversion.close();
    if (tail === undefined) this.#fail(brokeOff());
    else this.#done(tail);
    const rest = this.#release("");
    return out && rest ? Buffer.concat([out, rest]) : (out ?? rest);
  }

  hasContent(): boolean {
    return this.#conversion.texts.hasContent;
  }

  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    return { ...this.#conversion.texts.count(tokenizer, budget), prompt: this.#conversion.prompt };
  }

  restate(counted: TokenClasses): Buffer {
    return Buffer.from(this.#ending!(counted));
  }

  #read(event: ServerEvent | undefined): string {
    if (!event) this.#fail(malformed(NOT_A_STREAM));
    if (event?.data === undefined || event.data.trim() === "") return "";
    const step = this.#conversion.read(event as ServerEvent & { data: string });
    if (step.failure) this.#fail(step.failure);
    else if (step.tail !== undefined) this.#done(step.tail);
    return step.out ?? "";
  }

  /** What goes on to the client now. A provider that failed before any content leaves no trace. */
  #release(out: string): Buffer | undefined {
    if (this.#early !== undefined) {
      this.#early += out;
      if (this.state !== "done" && !this.hasContent()) return undefined;
      const all = this.#early;
      this.#early = undefined;
      return all === "" ? undefined : Buffer.from(all);
    }
    return out === "" ? undefined : Buffer.from(out);
  }

  #fail(why: Failure): void {
    this.state = "failed";
    this.failure ??= why;
  }

  #done(tail: Tail): void {
    this.state = "done";
    this.#ending = tail;
    this.tail = Buffer.from(tail());
  }
}
