import type { Failure } from "../../pipeline/failure.ts";
import type { Delivered, Usage } from "../../pipeline/format.ts";
import { malformed, type Judge, type JsonEvent } from "../events.ts";
import { inBandFailure } from "../openai-chat/errors.ts";
import { readUsage } from "../openai-responses/usage.ts";
import { isUnreadable } from "../whole.ts";
import type { SpeechRequest } from "./read.ts";
import { tokensOfSound } from "./tokens.ts";

/** Understands the events of speech: pieces of sound, and the end with its usage. */
export class SpeechEvents implements Judge {
  usage: Usage | undefined;
  unreadableUsage = false;
  readonly #request: SpeechRequest;
  #bytes = 0;

  constructor(request: SpeechRequest) {
    this.#request = request;
  }

  judge({ name, fields }: JsonEvent): "pass" | "end" | Failure {
    const type = typeof fields["type"] === "string" ? fields["type"] : name;
    if (fields["error"] || type === "error") return inBandFailure(fields);
    if (type === undefined) return malformed("The provider sent an event without a type");
    // Base64 is four characters for three bytes.
    if (type === "speech.audio.delta" && typeof fields["audio"] === "string") this.#bytes += (fields["audio"].length * 3) / 4;
    if (type !== "speech.audio.done") return "pass";
    const usage = readUsage(fields["usage"]);
    this.unreadableUsage = isUnreadable(fields["usage"], usage);
    this.usage = usage && { ...usage, units: this.#request.units };
    return "end";
  }

  get hasContent(): boolean {
    return this.#bytes > 0;
  }

  count(): Delivered {
    const { expected, format, units } = this.#request;
    return { content: this.hasContent, tokens: Math.min(expected, tokensOfSound(this.#bytes, format)), units };
  }
}
