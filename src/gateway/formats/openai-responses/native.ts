import type { Dialect, EncodedRequest, StreamReader, WholeResult } from "../../pipeline/format.ts";
import type { Fields } from "../checks.ts";
import { EventReader } from "../events.ts";
import { readError } from "../openai-chat/errors.ts";
import type { ResponseRequest } from "./read.ts";
import { ResponseEvents } from "./stream.ts";
import { readResponse } from "./whole.ts";

/** A request for a response to a provider that speaks the same: nothing is converted. */
export class NativeResponse implements Dialect {
  readonly path = "/responses";
  readonly readError = readError;
  readonly #request: ResponseRequest;

  constructor(request: ResponseRequest) {
    this.#request = request;
  }

  encode(upstreamModel: string, outputCap: number | undefined): EncodedRequest {
    const request = this.#request;
    const body: Fields = { ...request.body, model: upstreamModel };
    if (request.answer !== "stream") delete body["stream_options"];
    if (request.searches > 0) body["max_tool_calls"] = request.searches;
    const cap = outputCap ?? request.outputCap;
    if (cap !== undefined) body["max_output_tokens"] = cap;
    return { body: Buffer.from(JSON.stringify(body)), contentType: "application/json" };
  }

  openStream(): StreamReader {
    return new EventReader(new ResponseEvents(this.#options));
  }

  readWhole(body: Buffer): WholeResult {
    return readResponse(body, this.#options);
  }

  get #options(): { searching: boolean } {
    return { searching: this.#request.searches > 0 };
  }
}
