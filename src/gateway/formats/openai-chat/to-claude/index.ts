import type { Failure } from "../../../pipeline/failure.ts";
import type { Dialect, EncodedRequest, StreamReader, WholeResult } from "../../../pipeline/format.ts";
import { readError as readClaudeError } from "../../anthropic-messages/errors.ts";
import { DEFAULT_VERSION } from "../../anthropic-messages/version.ts";
import { messageResult, parseMessage } from "../../anthropic-messages/whole.ts";
import { refuse, type Fields } from "../../checks.ts";
import { ConvertedStream } from "../../conversion/stream.ts";
import { chatUsage } from "../../conversion/usage.ts";
import type { ChatRequest } from "../read.ts";
import { completionOf } from "./answer.ts";
import { checkConvertible } from "./check.ts";
import { inOpenaiWords } from "./errors.ts";
import { convertRequest } from "./request.ts";
import { MessageToChunks } from "./stream.ts";

/** A chat request to a provider that speaks Anthropic's messages. */
class ChatToClaude implements Dialect {
  readonly path = "/messages";
  readonly #request: ChatRequest;

  constructor(request: ChatRequest) {
    this.#request = request;
  }

  encode(upstreamModel: string, outputCap: number | undefined): EncodedRequest {
    const { body, answer, outputCap: asked } = this.#request;
    // One of the two is there: what the client does not name is decided by the hold.
    const converted = convertRequest(body, upstreamModel, outputCap ?? asked!, answer === "stream");
    return { body: Buffer.from(JSON.stringify(converted)), contentType: "application/json" };
  }

  headers(): string[] {
    return ["anthropic-version", DEFAULT_VERSION];
  }

  openStream(): StreamReader {
    return new ConvertedStream(new MessageToChunks({ showUsage: this.#request.showUsage }));
  }

  readWhole(body: Buffer): WholeResult {
    const parsed = parseMessage(body);
    if (!parsed.ok) return { ok: false, failure: inOpenaiWords(parsed.failure) };
    const { message, blocks } = parsed;
    const result = messageResult(message, blocks);
    const said = result.usage && chatUsage(result.usage, message["usage"] as Fields);
    const write = (usage: Fields | undefined): Buffer => Buffer.from(JSON.stringify(completionOf(message, blocks, usage)));
    return { ...result, body: write(said), restate: (tokens) => write(chatUsage({ tokens })) };
  }

  readError(status: number, body: Buffer, retryAfter: number | undefined): Failure {
    return inOpenaiWords(readClaudeError(status, body, retryAfter));
  }
}

/** How a provider of Anthropic's is asked a chat request, or why it cannot be asked this. */
export function chatToClaude(request: ChatRequest): Dialect | Failure {
  const problem = checkConvertible(request.body);
  return problem ? refuse(problem).failure : new ChatToClaude(request);
}
