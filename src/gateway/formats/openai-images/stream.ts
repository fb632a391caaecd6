import type { TokenClasses } from "../../../pricing/index.ts";
import type { Failure } from "../../pipeline/failure.ts";
import type { Delivered, Usage } from "../../pipeline/format.ts";
import { malformed, type Judge, type JsonEvent } from "../events.ts";
import { inBandFailure } from "../openai-chat/errors.ts";
import { readUsage } from "../openai-responses/usage.ts";
import { isUnreadable } from "../whole.ts";

/** Understands the events of pictures in the making: previews, and one `completed` for each picture; the last of those is the end. */
export class ImageEvents implements Judge {
  unreadableUsage = false;
  readonly #asked: number;
  readonly #tokensEach: number;
  #completed = 0;
  /** A preview came of a picture that is not complete yet. */
  #begun = false;
  #said: Usage | undefined;

  constructor(asked: number, tokensEach: number) {
    this.#asked = asked;
    this.#tokensEach = tokensEach;
  }

  judge({ name, fields }: JsonEvent): "pass" | "end" | Failure {
    const type = typeof fields["type"] === "string" ? fields["type"] : name;
    if (fields["error"] || type === "error" || type?.endsWith(".failed")) return inBandFailure(fields);
    if (type === undefined) return malformed("The provider sent an event without a type");
    if (type.endsWith(".partial_image")) this.#begun = true;
    if (!type.endsWith(".completed")) return "pass";
    this.#completed += 1;
    this.#begun = false;
    this.#note(fields["usage"]);
    return this.#completed >= this.#asked ? "end" : "pass";
  }

  /** Each picture says its own usage, or the last one that of all. */
  #note(said: unknown): void {
    const usage = readUsage(said);
    this.unreadableUsage ||= isUnreadable(said, usage);
    if (!usage) return;
    const before = this.#said;
    this.#said = before ? { tokens: sum(before.tokens, usage.tokens), notes: [...before.notes, ...usage.notes] } : usage;
  }

  get #images(): number {
    return Math.min(this.#asked, this.#completed + (this.#begun ? 1 : 0));
  }

  /** Only of the whole: what one picture of several says is not what the call used. */
  get usage(): Usage | undefined {
    if (!this.#said || this.unreadableUsage || this.#completed < this.#asked) return undefined;
    return { ...this.#said, units: { images: this.#images } };
  }

  get hasContent(): boolean {
    return this.#completed > 0 || this.#begun;
  }

  count(): Delivered {
    const images = this.#images;
    return { content: images > 0, tokens: images * this.#tokensEach, units: { images } };
  }
}

function sum(a: TokenClasses, b: TokenClasses): TokenClasses {
  return {
    input: a.input + b.input,
    cachedInput: a.cachedInput + b.cachedInput,
    cacheWrite: a.cacheWrite + b.cacheWrite,
    output: a.output + b.output,
    reasoning: a.reasoning + b.reasoning,
  };
}
