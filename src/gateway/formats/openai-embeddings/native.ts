import type { Dialect, EncodedRequest } from "../../pipeline/format.ts";
import { noStream } from "../noStream.ts";
import { readError } from "../openai-chat/errors.ts";
import type { EmbeddingRequest } from "./read.ts";
import { readEmbeddings } from "./whole.ts";

/** A request for embeddings to a provider that speaks the same. */
export class NativeEmbedding implements Dialect {
  readonly path = "/embeddings";
  readonly openStream = noStream;
  readonly readWhole = readEmbeddings;
  readonly readError = readError;
  readonly #request: EmbeddingRequest;

  constructor(request: EmbeddingRequest) {
    this.#request = request;
  }

  encode(upstreamModel: string): EncodedRequest {
    return { body: Buffer.from(JSON.stringify({ ...this.#request.body, model: upstreamModel })), contentType: "application/json" };
  }
}
