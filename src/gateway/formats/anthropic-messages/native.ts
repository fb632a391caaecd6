import type { Dialect, EncodedRequest, StreamReader } from "../../pipeline/format.ts";
import { isObject, type Fields } from "../checks.ts";
import { readError } from "./errors.ts";
import type { MessagesRequest } from "./read.ts";
import { MessagesStream } from "./stream.ts";
import { versionOf } from "./version.ts";
import { readWhole } from "./whole.ts";

const SANE = /^[\x20-\x7e]{1,1024}$/;

/** A messages request to a provider that speaks the same: nothing is converted. */
export class NativeMessages implements Dialect {
  readonly path = "/messages";
  readonly readWhole = readWhole;
  readonly readError = readError;
  readonly #request: MessagesRequest;

  constructor(request: MessagesRequest) {
    this.#request = request;
  }

  /** Written anew from what was parsed and priced, so that the provider cannot read a doubled key another way than we did. */
  encode(upstreamModel: string, outputCap: number | undefined): EncodedRequest {
    const body: Fields = { ...this.#request.body, model: upstreamModel };
    if (outputCap !== undefined) lower(body, outputCap);
    return { body: Buffer.from(JSON.stringify(body)), contentType: "application/json" };
  }

  headers(caller: Record<string, string | string[] | undefined>): string[] {
    const beta = caller["anthropic-beta"];
    const list = ["anthropic-version", versionOf(caller)];
    if (beta !== undefined && SANE.test(String(beta))) list.push("anthropic-beta", String(beta));
    return list;
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
