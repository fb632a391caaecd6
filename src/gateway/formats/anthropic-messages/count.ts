import type { Failure } from "../../pipeline/failure.ts";
import type { Dialect, EncodedRequest, Format, PromptModel, ReadResult, RelayRequest, Speaks, WholeResult } from "../../pipeline/format.ts";
import { countOf } from "../../tokens/classes.ts";
import { newBudget, type Tokenizer } from "../../tokens/index.ts";
import { asObject, isObject, refuse, type Fields } from "../checks.ts";
import { malformed } from "../events.ts";
import { noStream } from "../noStream.ts";
import { readObject } from "../whole.ts";
import { anthropicVoice, inBandFailure, readError } from "./errors.ts";
import { checkThinking } from "./fields.ts";
import { callerHeaders } from "./native.ts";
import { countPrompt } from "./prompt.ts";
import { checkPrompt } from "./read.ts";

type Headers = Record<string, string | string[] | undefined>;

/** An estimate needs no upper bounds. */
const NOTHING_SAID: PromptModel = { name: "", contextLength: null, maxImageTokens: null, maxFileTokens: null, videoSecondTokens: null };

const answerOf = (tokens: number): Buffer => Buffer.from(JSON.stringify({ input_tokens: tokens }));

/** Asks a provider that speaks Anthropic's messages. */
class RelayedCount implements Dialect {
  readonly path = "/messages/count_tokens";
  readonly headers = callerHeaders;
  readonly openStream = noStream;
  readonly readError = readError;
  readonly #body: Readonly<Fields>;

  constructor(body: Readonly<Fields>) {
    this.#body = body;
  }

  encode(upstreamModel: string): EncodedRequest {
    return { body: Buffer.from(JSON.stringify({ ...this.#body, model: upstreamModel })), contentType: "application/json" };
  }

  readWhole(body: Buffer): WholeResult {
    const read = readObject(body, "a count", inBandFailure);
    if (!read.ok) return read;
    const tokens = countOf(read.fields, "input_tokens");
    if (tokens === undefined || Number.isNaN(tokens)) return { ok: false, failure: malformed("The provider's answer is not a count") };
    return { ok: true, usage: undefined, unreadableUsage: false, count: () => ({ content: false, tokens: 0 }) };
  }
}

/** A request to count the tokens of a prompt. */
class CountRequest implements RelayRequest {
  readonly model: string;
  readonly answer = "whole";
  readonly outputCap = 0;
  readonly choices = 1;
  readonly #body: Readonly<Fields>;

  constructor(body: Fields) {
    this.#body = body;
    this.model = body["model"] as string;
  }

  /** Nothing is held for it. */
  countPrompt(): number {
    return 0;
  }

  dialect(speaks: Speaks): Dialect | Failure {
    const relayed = new RelayedCount(this.#body);
    // Other vendors count nothing beforehand; ours is an estimate.
    return speaks === "claude" ? relayed : Object.assign(relayed, { local: (tokenizer: Tokenizer) => answerOf(this.#estimate(tokenizer)) });
  }

  #estimate(tokenizer: Tokenizer): number {
    const counted = countPrompt(this.#body, tokenizer, newBudget(), { ...NOTHING_SAID, name: this.model });
    return typeof counted === "number" ? counted : counted.tokens;
  }
}

function read(body: unknown, headers: Headers): ReadResult {
  const object = asObject(body);
  if (!object.ok) return object;
  const { fields } = object;
  // There is no answer whose cap the thinking would have to keep within.
  const problem = checkPrompt(fields, headers) ?? (isObject(fields["thinking"]) ? checkThinking(fields, true) : undefined);
  return problem ? refuse(problem) : { ok: true, request: new CountRequest(fields) };
}

/** How many tokens a prompt has (https://docs.anthropic.com/en/api/messages-count-tokens). Free at the vendor, so free here. */
export const countTokens: Format = {
  route: "/v1/messages/count_tokens",
  speaks: ["claude", "openai"],
  body: "json",
  meters: ["tokens", "requests"],
  free: true,
  voice: anthropicVoice,
  read,
};
