import type { Failure } from "../../pipeline/failure.ts";
import type { Delivered, Usage } from "../../pipeline/format.ts";
import { GatheredText } from "../../tokens/gathered.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { malformed, type Judge, type JsonEvent } from "../events.ts";
import { inBandFailure } from "../openai-chat/errors.ts";
import { readUse } from "./usage.ts";

/** Understands the events of a transcript: pieces of text, and the end with all of it and the usage. */
export class TranscriptEvents implements Judge {
  usage: Usage | undefined;
  unreadableUsage = false;
  readonly #measured: number;
  #seconds: number | undefined;
  readonly #text = new GatheredText();

  constructor(measured: number) {
    this.#measured = measured;
  }

  judge({ name, fields }: JsonEvent): "pass" | "end" | Failure {
    const type = typeof fields["type"] === "string" ? fields["type"] : name;
    if (fields["error"] || type === "error") return inBandFailure(fields);
    if (type === undefined) return malformed("The provider sent an event without a type");
    if (type === "transcript.text.delta") this.#text.append("text", fields["delta"]);
    if (type !== "transcript.text.done") return "pass";
    if (!this.#text.hasContent) this.#text.append("text", fields["text"]);
    const { usage, seconds, unreadable } = readUse(fields["usage"], this.#measured);
    this.usage = usage;
    this.#seconds = seconds;
    this.unreadableUsage = unreadable;
    return "end";
  }

  get hasContent(): boolean {
    return this.#text.hasContent;
  }

  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    return { ...this.#text.count(tokenizer, budget), units: { seconds: this.#seconds ?? this.#measured } };
  }
}
