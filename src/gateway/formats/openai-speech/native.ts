import { failure, type Failure } from "../../pipeline/failure.ts";
import type { Dialect, EncodedRequest, StreamReader } from "../../pipeline/format.ts";
import { BytesReader } from "../bytes.ts";
import { EventReader } from "../events.ts";
import { readError } from "../openai-chat/errors.ts";
import type { SpeechRequest } from "./read.ts";
import { SpeechEvents } from "./stream.ts";
import { tokensOfSound } from "./tokens.ts";

/** A request for speech to a provider that speaks the same: sound that passes as it comes, or events. */
export class NativeSpeech implements Dialect {
  readonly path = "/audio/speech";
  readonly readError = readError;
  readonly #request: SpeechRequest;

  constructor(request: SpeechRequest) {
    this.#request = request;
  }

  encode(upstreamModel: string): EncodedRequest {
    return { body: Buffer.from(JSON.stringify({ ...this.#request.body, model: upstreamModel })), contentType: "application/json" };
  }

  openStream(): StreamReader {
    const { answer, units, expected, format } = this.#request;
    if (answer === "stream") return new EventReader(new SpeechEvents(this.#request));
    // Sound says nothing of what it cost. It is never more than the text lets expect.
    return new BytesReader((bytes) => ({ content: bytes > 0, tokens: Math.min(expected, tokensOfSound(bytes, format)), units }));
  }

  readWhole(): { ok: false; failure: Failure } {
    return { ok: false, failure: failure("internal_error") };
  }
}
