import { failure, type Failure } from "../../../pipeline/failure.ts";
import type { Dialect, EncodedRequest, StreamReader, Usage, WholeResult } from "../../../pipeline/format.ts";
import { isObject, refuse } from "../../checks.ts";
import { ConvertedStream } from "../../conversion/stream.ts";
import { malformed } from "../../events.ts";
import { readError } from "../../openai-chat/errors.ts";
import { completionResult, parseCompletion } from "../../openai-chat/whole.ts";
import type { MessagesRequest } from "../read.ts";
import { messageOf } from "./answer.ts";
import { checkConvertible } from "./check.ts";
import { convertRequest } from "./request.ts";
import { ChunksToMessage } from "./stream.ts";

/** A messages request to a provider that speaks OpenAI's chat completions. */
class MessagesToOpenai implements Dialect {
  readonly path = "/chat/completions";
  readonly readError = readError;
  readonly #request: MessagesRequest;

  constructor(request: MessagesRequest) {
    this.#request = request;
  }

  encode(upstreamModel: string, outputCap: number | undefined): EncodedRequest {
    const { body, answer, outputCap: asked } = this.#request;
    const converted = convertRequest(body, upstreamModel, outputCap ?? asked, answer === "stream");
    return { body: Buffer.from(JSON.stringify(converted)), contentType: "application/json" };
  }

  openStream(options: { endsWithoutTerminal: boolean }): StreamReader {
    return new ConvertedStream(new ChunksToMessage(options));
  }

  readWhole(body: Buffer): WholeResult {
    const parsed = parseCompletion(body);
    if (!parsed.ok) return parsed;
    const result = completionResult(parsed.answer, parsed.choices);
    const [choice] = parsed.choices;
    if (!isObject(choice)) return { ok: false, failure: malformed("The provider's answer cannot be read as a message") };
    const write = (usage: Pick<Usage, "tokens"> | undefined): Buffer =>
      Buffer.from(JSON.stringify(messageOf(parsed.answer, choice, usage)));
    return { ...result, body: write(result.usage), restate: (tokens) => write({ tokens }) };
  }
}

/** How a provider of OpenAI's is asked a messages request, or why it cannot be asked this. */
export function messagesToOpenai(request: MessagesRequest): Dialect | Failure {
  // Filling a cache without an answer is the vendor's own.
  if (request.outputCap === 0)
    return failure("validation_failed", { message: "max_tokens: must be at least 1 for this model", param: "max_tokens" });
  const problem = checkConvertible(request.body);
  return problem ? refuse(problem).failure : new MessagesToOpenai(request);
}
