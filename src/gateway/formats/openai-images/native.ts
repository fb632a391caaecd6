import type { Dialect, EncodedRequest, StreamReader, WholeResult } from "../../pipeline/format.ts";
import { EventReader, malformed } from "../events.ts";
import { encodeForm } from "../forms.ts";
import { countKey, isLong, readEnds } from "../longAnswer.ts";
import { readError } from "../openai-chat/errors.ts";
import { readUsage } from "../openai-responses/usage.ts";
import { isUnreadable, readObject } from "../whole.ts";
import type { ImageRequest } from "./read.ts";
import { ImageEvents } from "./stream.ts";

const NO_PICTURES = malformed("The provider's answer has no pictures");

/** A request for pictures to a provider that speaks the same. */
export class NativeImages implements Dialect {
  readonly path: string;
  readonly mayAnswerWhole = true;
  readonly readError = readError;
  readonly #request: ImageRequest;

  constructor(request: ImageRequest) {
    this.#request = request;
    this.path = request.path;
  }

  encode(upstreamModel: string): EncodedRequest {
    const { form, body } = this.#request;
    if (form) return encodeForm(form, { model: upstreamModel });
    return { body: Buffer.from(JSON.stringify({ ...body, model: upstreamModel })), contentType: "application/json" };
  }

  openStream(): StreamReader {
    const { choices, outputCap } = this.#request;
    return new EventReader(new ImageEvents(choices, outputCap));
  }

  readWhole(body: Buffer): WholeResult {
    if (isLong(body)) {
      const ends = readEnds(body);
      return ends ? this.#result(countKey(body, "b64_json"), ends.usage) : { ok: false, failure: NO_PICTURES };
    }
    const read = readObject(body, "a list of pictures");
    if (!read.ok) return read;
    const { data, usage } = read.fields;
    return Array.isArray(data) ? this.#result(data.length, usage) : { ok: false, failure: NO_PICTURES };
  }

  /** Pictures are charged as they came back, whatever was asked for. */
  #result(came: number, said: unknown): WholeResult {
    if (came === 0) return { ok: false, failure: NO_PICTURES };
    const { outputCap } = this.#request;
    const images = came;
    const usage = readUsage(said);
    return {
      ok: true,
      usage: usage && { ...usage, units: { images } },
      unreadableUsage: isUnreadable(said, usage),
      count: () => ({ content: true, tokens: images * outputCap, units: { images } }),
    };
  }
}
