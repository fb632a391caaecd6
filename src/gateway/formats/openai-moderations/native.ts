import type { Dialect, EncodedRequest, WholeResult } from "../../pipeline/format.ts";
import { malformed } from "../events.ts";
import { noStream } from "../noStream.ts";
import { readError } from "../openai-chat/errors.ts";
import { readObject } from "../whole.ts";
import type { ModerationRequest } from "./read.ts";

/** A request for moderation to a provider that speaks the same. The vendor never says what it used. */
export class NativeModeration implements Dialect {
  readonly path = "/moderations";
  readonly openStream = noStream;
  readonly readError = readError;
  readonly #request: ModerationRequest;

  constructor(request: ModerationRequest) {
    this.#request = request;
  }

  encode(upstreamModel: string): EncodedRequest {
    return { body: Buffer.from(JSON.stringify({ ...this.#request.body, model: upstreamModel })), contentType: "application/json" };
  }

  readWhole(body: Buffer): WholeResult {
    const read = readObject(body, "a list of judgements");
    if (!read.ok) return read;
    if (!Array.isArray(read.fields["results"]))
      return { ok: false, failure: malformed("The provider's answer is not a list of judgements") };
    return { ok: true, usage: undefined, unreadableUsage: false, count: () => ({ content: true, tokens: 0, units: { requests: 1 } }) };
  }
}
