import type { Dialect, EncodedRequest, StreamReader } from "../../pipeline/format.ts";
import { isObject, type Fields } from "../checks.ts";
import { readError } from "./errors.ts";
import type { MessagesRequest } from "./read.ts";
import { MessagesStream } from "./stream.ts";
import { versionOf } from "./version.ts";
import { readWhole } from "./whole.ts";

const SANE = /^[\x20-\x7e]{1,1024}$/;

/** What of a caller's headers a provider of the same format gets; the version is one that was accepted, and the betas cost nothing. */
export function callerHeaders(caller: Record<string, string | string[] | undefined>): string[] {
  const beta = caller["anthropic-beta"];
  const list = ["anthropic-version", versionOf(caller)];
  if (beta !== undefined && SANE.test(String(beta))) list.push("anthropic-beta", String(beta));
  return list;
}

/** A messages request to a provider that speaks the same: nothing is converted. */
export class NativeMessages implements Dialect {
  readonly path = "/messages";
  readonly headers = callerHeaders;
  readonly readWhole = readWhole;
  readonly readError = readError;
  readonly #request: MessagesRequest;

  constructor(request: MessagesRequest) {
    this.#request = request;
  }

  /** Written anew from what was parsed and priced, so that the provider cannot read a doubled key another way than we did. */
  encode(upstreamModel: string, outputCap: number | undefined): EncodedRequest {
    const given = this.#request.body;
    const body: Fields = { ...given, model: upstreamModel, messages: signedOnly(given["messages"] as Fields[]) };
    if (outputCap !== undefined) lower(body, outputCap);
    return { body: Buffer.from(JSON.stringify(body)), contentType: "application/json" };
  }

  openStream(): StreamReader {
    return new MessagesStream();
  }
}

/** Lowers the cap of the whole answer, and of the thinking in it, which has to be less. */
function lower(body: Fields, cap: number): void {
  body["max_tokens"] = cap;
  const { thinking } = body;
  if (!isObject(thinking) || typeof thinking["budget_tokens"] !== "number" || thinking["budget_tokens"] < cap) return;
  body["thinking"] = { ...thinking, budget_tokens: cap - 1 };
}

/**
 * Without thinking that has no signature, which the vendor refuses: the client has it from a provider of another format, that this model
 * was served by earlier in the conversation.
 */
function signedOnly(messages: Fields[]): Fields[] {
  const unsigned = ({ type, signature }: Fields): boolean => type === "thinking" && signature === "";
  const spoiled = ({ role, content }: Fields): boolean =>
    role === "assistant" && Array.isArray(content) && (content as Fields[]).some(unsigned);
  if (!messages.some(spoiled)) return messages;
  return messages
    .map((message) =>
      spoiled(message) ? { ...message, content: (message["content"] as Fields[]).filter((block) => !unsigned(block)) } : message,
    )
    .filter(({ content }) => !Array.isArray(content) || content.length > 0);
}
