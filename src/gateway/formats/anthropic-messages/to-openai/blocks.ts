import type { Fields } from "../../checks.ts";

const event = (type: string, fields: Fields): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;

/** A tool call whose turn has not come: blocks follow each other, calls may interleave. */
interface Waiting {
  id: unknown;
  name: string;
  json: string;
}

type Kind = "text" | "thinking";

/**
 * Writes the blocks of a streamed message, one after the other. A tool call is open until its arguments are whole; what comes meanwhile for
 * others waits. Everything returned is complete events.
 */
export class BlockWriter {
  calledTools = false;
  #index = -1;
  #open: Kind | number | undefined;
  /** The arguments of the open tool call so far, and whether they are known to be whole. */
  #json = "";
  #whole: boolean | undefined;
  readonly #calls = new Map<number, Waiting>();
  readonly #closed = new Set<number>();
  #later: [Kind, string][] = [];

  text(text: string): string {
    return this.#say("text", text);
  }

  thinking(thinking: string): string {
    return this.#say("thinking", thinking);
  }

  /** A piece of the tool call with this index; `id` and `name` come with the first. */
  tool(index: number, id: unknown, name: string, json: string): string {
    this.calledTools = true;
    if (this.#open === index) return this.#input(json);
    // Nothing but blanks can follow arguments that were whole.
    if (this.#closed.has(index)) return "";
    const waiting = this.#calls.get(index) ?? { id: undefined, name: "", json: "" };
    this.#calls.set(index, { id: waiting.id ?? id, name: waiting.name || name, json: waiting.json + json });
    return this.#busy ? "" : this.#next();
  }

  /** Ends what is open and writes what waits. */
  end(): string {
    let out = "";
    while (this.#calls.size > 0) out += this.#next();
    for (const [kind, text] of this.#later.splice(0)) out += this.#write(kind, text);
    return out + this.#close();
  }

  get #busy(): boolean {
    return typeof this.#open === "number" && !(this.#whole ??= isWhole(this.#json));
  }

  #say(kind: Kind, text: string): string {
    if (!this.#busy) return this.#write(kind, text);
    this.#later.push([kind, text]);
    return "";
  }

  #write(kind: Kind, text: string): string {
    const block = kind === "text" ? { type: kind, text: "" } : { type: kind, thinking: "", signature: "" };
    return this.#begin(kind, block) + this.#delta({ type: `${kind}_delta`, [kind]: text });
  }

  /** Writes the first waiting call as far as it has come. */
  #next(): string {
    const [index] = this.#calls.keys();
    const { id, name, json } = this.#calls.get(index!)!;
    this.#calls.delete(index!);
    const start = this.#begin(index!, { type: "tool_use", id: id ?? `call_${index}`, name, input: {} });
    this.#json = "";
    return start + this.#input(json);
  }

  #input(json: string): string {
    this.#whole = undefined;
    if (json === "") return "";
    this.#json += json;
    return this.#delta({ type: "input_json_delta", partial_json: json });
  }

  #begin(kind: Kind | number, block: Fields): string {
    if (this.#open === kind) return "";
    const closed = this.#close();
    this.#open = kind;
    this.#index += 1;
    return closed + event("content_block_start", { index: this.#index, content_block: block });
  }

  #delta(delta: Fields): string {
    return event("content_block_delta", { index: this.#index, delta });
  }

  #close(): string {
    if (this.#open === undefined) return "";
    if (typeof this.#open === "number") this.#closed.add(this.#open);
    this.#open = undefined;
    return event("content_block_stop", { index: this.#index });
  }
}

function isWhole(json: string): boolean {
  if (!json.trimEnd().endsWith("}")) return false;
  try {
    JSON.parse(json);
    return true;
  } catch {
    return false;
  }
}

/** The first event of a streamed message. */
export const messageStart = (message: Fields): string => event("message_start", { message });

/** The last two: why it stopped and what it used, and the end. */
export const messageEnd = (stopReason: string, usage: Fields): string =>
  event("message_delta", { delta: { stop_reason: stopReason, stop_sequence: null }, usage }) + event("message_stop", {});
