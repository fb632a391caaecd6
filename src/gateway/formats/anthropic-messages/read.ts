import type { Units } from "../../../pricing/index.ts";
import type { Failure } from "../../pipeline/failure.ts";
import type { AnswerKind, Dialect, PromptCount, PromptModel, ReadResult, RelayRequest, Speaks } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { plusTokens } from "../../attachments/index.ts";
import { asObject, checkFields, checkModel, isObject, refuse, type Fields, type Problem } from "../checks.ts";
import { checkMessages, checkSystem } from "./content.ts";
import { checkThinking, checkToolChoice, checkTools, MESSAGES_FIELDS } from "./fields.ts";
import { NativeMessages } from "./native.ts";
import { countPrompt } from "./prompt.ts";
import { searchesOf, TOKENS_PER_SEARCH } from "./search.ts";
import { messagesToOpenai } from "./to-openai/index.ts";
import { betasOf, checkBetas, checkContextManagement, UNPRICED_FIELDS } from "./unpriced.ts";
import { checkVersion } from "./version.ts";

type Headers = Record<string, string | string[] | undefined>;

const CHECKS = { ...MESSAGES_FIELDS, ...UNPRICED_FIELDS };

const noSearch = (): Failure => refuse({ param: "tools", message: "web search is not offered for this model" }).failure;

/** A validated messages request. Known fields are checked, unknown ones pass to the provider as they are. */
export class MessagesRequest implements RelayRequest {
  readonly model: string;
  readonly answer: AnswerKind;
  readonly outputCap: number;
  readonly choices = 1;
  readonly units: Units | undefined;
  readonly needs: RelayRequest["needs"];
  /** The user or session that clients name: their calls find what the provider has cached. */
  readonly session: string | undefined;
  /** As the client sent it. */
  readonly body: Readonly<Fields>;
  readonly #searches: number;

  constructor(body: Fields) {
    this.body = body;
    this.session = sessionOf(body["metadata"]);
    this.#searches = searchesOf(body);
    this.units = this.#searches === 0 ? undefined : { searches: this.#searches };
    this.needs = this.#searches === 0 ? undefined : { meter: "searches", refusal: noSearch() };
    this.model = body["model"] as string;
    this.answer = body["stream"] === true ? "stream" : "whole";
    this.outputCap = body["max_tokens"] as number;
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget, model: PromptModel): number | PromptCount {
    return plusTokens(countPrompt(this.body, tokenizer, budget, model), this.#searches * TOKENS_PER_SEARCH);
  }

  dialect(speaks: Speaks): Dialect | Failure {
    return speaks === "claude" ? new NativeMessages(this) : messagesToOpenai(this);
  }
}

function sessionOf(metadata: unknown): string | undefined {
  const user = isObject(metadata) ? metadata["user_id"] : undefined;
  return typeof user === "string" ? user : undefined;
}

/** What a request for an answer and one for a count have in common. */
export function checkPrompt(body: Fields, headers: Headers): Problem | undefined {
  const betas = betasOf(headers["anthropic-beta"]);
  return (
    checkVersion(headers) ??
    checkBetas(betas) ??
    checkModel(body["model"]) ??
    checkMessages(body["messages"]) ??
    checkSystem(body["system"]) ??
    checkFields(CHECKS, body) ??
    checkContextManagement(body) ??
    checkTools(body["tools"]) ??
    checkToolChoice(body["tool_choice"])
  );
}

function checkRequest(body: Fields, headers: Headers): Problem | undefined {
  const problem = checkPrompt(body, headers);
  if (problem) return problem;
  if (typeof body["max_tokens"] !== "number") return { param: "max_tokens", message: "is required" };
  return checkThinking(
    body,
    betasOf(headers["anthropic-beta"]).some((beta) => beta.startsWith("interleaved-thinking")),
  );
}

/** Reads the parsed body of a messages request. */
export function readRequest(body: unknown, headers: Headers): ReadResult<MessagesRequest> {
  const read = asObject(body);
  if (!read.ok) return read;
  const problem = checkRequest(read.fields, headers);
  return problem ? refuse(problem) : { ok: true, request: new MessagesRequest(read.fields) };
}
