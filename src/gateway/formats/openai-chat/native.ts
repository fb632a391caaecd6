import type { Dialect, EncodedRequest, StreamReader } from "../../pipeline/format.ts";
import { readError } from "./errors.ts";
import type { ChatRequest } from "./read.ts";
import { ChatStream } from "./stream.ts";
import { readWhole } from "./whole.ts";

/** A chat request to a provider that speaks the same: nothing is converted. */
export class NativeChat implements Dialect {
  readonly path = "/chat/completions";
  readonly readWhole = readWhole;
  readonly readError = readError;
  readonly #request: ChatRequest;

  constructor(request: ChatRequest) {
    this.#request = request;
  }

  /** Written anew from what was parsed and priced, so that the provider cannot read a doubled key another way than we did. */
  encode(upstreamModel: string, outputCap: number | undefined): EncodedRequest {
    const request = this.#request;
    const body: Record<string, unknown> = { ...request.body, model: upstreamModel };
    if (request.answer === "stream") {
      body["stream"] = true;
      body["stream_options"] = { ...(body["stream_options"] as object | null), include_usage: true };
    } else delete body["stream_options"];
    const cap = outputCap ?? request.outputCap;
    // Where both names are given, the one a provider reads must not allow more than the one we priced.
    if (typeof body["max_tokens"] === "number") body["max_tokens"] = cap;
    if (typeof body["max_completion_tokens"] === "number") body["max_completion_tokens"] = cap;
    else if (outputCap !== undefined && request.outputCap === undefined) body[capName(body, upstreamModel)] = outputCap;
    return { body: Buffer.from(JSON.stringify(body)), contentType: "application/json" };
  }

  openStream(options: { endsWithoutTerminal: boolean }): StreamReader {
    const { showUsage, choices } = this.#request;
    return new ChatStream({ showUsage, choices, ...options });
  }
}

/**
 * What the cap is called when the client gave no number: the name it left empty, else the model's: reasoning models refuse the old name,
 * other vendors know no other.
 */
export function capName(body: Record<string, unknown>, upstreamModel: string): string {
  if (body["max_completion_tokens"] === null) return "max_completion_tokens";
  if (body["max_tokens"] === null) return "max_tokens";
  return /(^|\/)(o\d|gpt-[5-9])/i.test(upstreamModel) ? "max_completion_tokens" : "max_tokens";
}
