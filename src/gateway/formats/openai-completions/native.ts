import type { Delivered, Dialect, EncodedRequest, StreamReader, WholeResult } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import type { Fields } from "../checks.ts";
import { readError } from "../openai-chat/errors.ts";
import { ChatStream } from "../openai-chat/stream.ts";
import { readWhole } from "../openai-chat/whole.ts";
import type { CompletionRequest } from "./read.ts";

/** A legacy completion to a provider that speaks the same. Its answers differ from a chat's only in where the text stands. */
export class NativeCompletion implements Dialect {
  readonly path = "/completions";
  readonly readError = readError;
  readonly #request: CompletionRequest;

  constructor(request: CompletionRequest) {
    this.#request = request;
  }

  encode(upstreamModel: string, outputCap: number | undefined): EncodedRequest {
    const request = this.#request;
    const body: Fields = { ...request.body, model: upstreamModel, max_tokens: outputCap ?? request.outputCap };
    if (request.answer === "stream") body["stream_options"] = { ...(body["stream_options"] as object | null), include_usage: true };
    else delete body["stream_options"];
    return { body: Buffer.from(JSON.stringify(body)), contentType: "application/json" };
  }

  openStream(options: { endsWithoutTerminal: boolean }): StreamReader {
    const { showUsage, prompts, body } = this.#request;
    const stream = new ChatStream({ showUsage, choices: ((body["n"] ?? 1) as number) * prompts.length, ...options });
    const count = stream.count.bind(stream);
    stream.count = (tokenizer, budget) => this.#withoutEcho(count(tokenizer, budget), tokenizer, budget);
    return stream;
  }

  readWhole(body: Buffer): WholeResult {
    const result = readWhole(body);
    if (!result.ok) return result;
    const { count } = result;
    return { ...result, count: (tokenizer, budget) => this.#withoutEcho(count(tokenizer, budget), tokenizer, budget) };
  }

  /** A prompt that is repeated in front of its answers was not written by the model. */
  #withoutEcho(delivered: Delivered, tokenizer: Tokenizer, budget: Budget): Delivered {
    const { body, prompts } = this.#request;
    if (body["echo"] !== true) return delivered;
    let echoed = 0;
    for (const prompt of prompts) echoed += typeof prompt === "string" ? tokenizer.count(prompt, budget) : prompt.length;
    return { ...delivered, tokens: Math.max(0, delivered.tokens - echoed * ((body["n"] ?? 1) as number)) };
  }
}
