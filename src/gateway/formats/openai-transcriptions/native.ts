import type { Delivered, Dialect, EncodedRequest, StreamReader, WholeResult } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { EventReader, malformed } from "../events.ts";
import { encodeForm } from "../forms.ts";
import { readError } from "../openai-chat/errors.ts";
import { readObject } from "../whole.ts";
import { JSON_FORMATS } from "./fields.ts";
import type { TranscriptionRequest } from "./read.ts";
import { TranscriptEvents } from "./stream.ts";
import { readUse, secondsOf } from "./usage.ts";

const OPEN_BRACE = 0x7b;
const NO_TRANSCRIPT = malformed("The provider's answer is no transcript");

/** A request to write down what was said, to a provider that speaks the same. */
export class NativeTranscription implements Dialect {
  readonly path: string;
  readonly readError = readError;
  readonly #request: TranscriptionRequest;

  constructor(request: TranscriptionRequest) {
    this.#request = request;
    this.path = request.path;
  }

  encode(upstreamModel: string): EncodedRequest {
    const { form, answer } = this.#request;
    return encodeForm(form, { model: upstreamModel, stream: answer === "stream" ? "true" : undefined });
  }

  openStream(): StreamReader {
    return new EventReader(new TranscriptEvents(this.#request.seconds));
  }

  readWhole(body: Buffer, contentType: string | undefined): WholeResult {
    const { fields } = this.#request;
    const isJson = /[/+]json\b/i.test(contentType ?? "");
    if (JSON_FORMATS.includes((fields["response_format"] ?? "json") as string)) return this.#readJson(body);
    // Captions and text come as text; an object in their place is an error, a page is nobody's answer.
    const object = isJson || body[0] === OPEN_BRACE ? readObject(body, "a transcript") : undefined;
    if (object?.ok) return { ok: false, failure: NO_TRANSCRIPT };
    if (object && (isJson || object.failure.record === "upstream_error_event")) return object;
    if (!/^(?:text\/(?!html)|application\/(?:octet-stream|x-subrip))/i.test(contentType ?? ""))
      return { ok: false, failure: NO_TRANSCRIPT };
    return this.#result({ text: body.toString("utf8"), said: undefined, duration: undefined, contentType: contentType! });
  }

  #readJson(body: Buffer): WholeResult {
    const read = readObject(body, "a transcript");
    if (!read.ok) return read;
    const { text, usage, duration } = read.fields;
    if (typeof text !== "string") return { ok: false, failure: NO_TRANSCRIPT };
    return this.#result({ text, said: usage, duration: secondsOf(duration), contentType: "application/json" });
  }

  #result(answer: { text: string; said: unknown; duration: number | undefined; contentType: string }): WholeResult {
    const { seconds: measured } = this.#request;
    const { usage, seconds, unreadable } = readUse(answer.said, answer.duration ?? measured);
    const units = { seconds: seconds ?? answer.duration ?? measured };
    return {
      ok: true,
      usage,
      unreadableUsage: unreadable,
      contentType: answer.contentType,
      count: (tokenizer: Tokenizer, budget: Budget): Delivered => ({ content: true, tokens: tokenizer.count(answer.text, budget), units }),
    };
  }
}
