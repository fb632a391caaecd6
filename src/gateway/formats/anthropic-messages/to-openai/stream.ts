import type { Usage } from "../../../pipeline/format.ts";
import type { ServerEvent } from "../../../sse/events.ts";
import { GatheredText } from "../../../tokens/gathered.ts";
import { isObject, objectsIn, type Fields } from "../../checks.ts";
import { saidIn } from "../../conversion/parts.ts";
import { stopReasonOf } from "../../conversion/stop.ts";
import type { Conversion, Step, Tail } from "../../conversion/stream.ts";
import { malformed, NOT_JSON } from "../../events.ts";
import { messagesUsage } from "../../conversion/usage.ts";
import { endsInError, inBandFailure } from "../../openai-chat/errors.ts";
import { readUsage } from "../../openai-chat/usage.ts";
import { messageHead, reasoningOf } from "./answer.ts";
import { CallPlaces } from "./places.ts";
import { BlockWriter, messageEnd, messageStart } from "./blocks.ts";

/** Chunks of a chat completion as events of a message. */
export class ChunksToMessage implements Conversion {
  usage: Usage | undefined;
  unreadableUsage = false;
  /** Said at the end alone. */
  readonly prompt = undefined;
  readonly texts = new GatheredText();
  readonly #endsWithoutTerminal: boolean;
  readonly #blocks = new BlockWriter();
  readonly #places = new CallPlaces();
  #begun = false;
  #refused = false;
  #finish: unknown;

  constructor(options: { endsWithoutTerminal: boolean }) {
    this.#endsWithoutTerminal = options.endsWithoutTerminal;
  }

  read({ name, data }: ServerEvent & { data: string }): Step {
    if (data.trim() === "[DONE]") return { tail: this.#end() };
    let chunk: unknown;
    try {
      chunk = JSON.parse(data);
    } catch {
      chunk = undefined;
    }
    if (!isObject(chunk)) return { failure: malformed(NOT_JSON) };
    if (chunk["error"] || endsInError(chunk) || name === "error") return { failure: inBandFailure(chunk) };
    this.#noteUsage(chunk["usage"]);
    const out = this.#begin(chunk);
    // One answer was asked for.
    const choice = objectsIn(chunk["choices"]).find((one) => (one["index"] ?? 0) === 0);
    return { out: choice ? out + this.#choice(choice) : out };
  }

  close(): Tail | undefined {
    return this.#endsWithoutTerminal && this.#finish !== undefined ? this.#end() : undefined;
  }

  #begin(chunk: Fields): string {
    if (this.#begun) return "";
    this.#begun = true;
    return messageStart(messageHead(chunk));
  }

  #choice(choice: Fields): string {
    if (choice["finish_reason"] !== null && choice["finish_reason"] !== undefined) this.#finish = choice["finish_reason"];
    const delta = isObject(choice["delta"]) ? choice["delta"] : {};
    const said = saidIn(delta["content"]);
    let out = this.#piece("thinking", reasoningOf(delta) ?? said.thinking) + this.#piece("text", said.text);
    const refusal = this.#piece("text", delta["refusal"]);
    if (refusal !== "") this.#refused = true;
    out += refusal;
    for (const call of objectsIn(delta["tool_calls"])) out += this.#call(call);
    return out;
  }

  #piece(kind: "text" | "thinking", piece: unknown): string {
    if (typeof piece !== "string" || piece === "") return "";
    this.texts.append(kind, piece);
    return this.#blocks[kind](piece);
  }

  #call(call: Fields): string {
    const called = isObject(call["function"]) ? call["function"] : {};
    const index = this.#places.of(call);
    const name = typeof called["name"] === "string" ? called["name"] : "";
    const json = typeof called["arguments"] === "string" ? called["arguments"] : "";
    this.texts.append(`${index} name`, name);
    this.texts.append(`${index} arguments`, json);
    return this.#blocks.tool(index, call["id"], name, json);
  }

  #noteUsage(usage: unknown): void {
    if (usage === undefined || usage === null) return;
    this.usage = readUsage(usage);
    this.unreadableUsage = this.usage === undefined;
  }

  #end(): Tail {
    const rest = this.#begin({}) + this.#blocks.end();
    const reason = this.#refused ? "refusal" : stopReasonOf(this.#finish, this.#blocks.calledTools);
    return (counted) => {
      const usage = counted ? { tokens: counted } : this.usage;
      return rest + messageEnd(reason, usage ? messagesUsage(usage) : { output_tokens: 0 });
    };
  }
}
