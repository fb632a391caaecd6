import type { Units } from "../../../pricing/index.ts";
import type { Failure } from "../../pipeline/failure.ts";
import type { AnswerKind, Dialect, PromptCount, PromptModel, ReadResult, Reference, RelayRequest } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { plusTokens } from "../../attachments/index.ts";
import { asObject, checkFields, checkModel, isObject, refuse, type Fields } from "../checks.ts";
import { checkInput, checkTools, kindOf, RESPONSE_FIELDS } from "./fields.ts";
import { NativeResponse } from "./native.ts";
import { countPrompt } from "./prompt.ts";
import { checkSearches, searchesOf, searchTool, TOKENS_PER_SEARCH } from "./search.ts";

/** A validated request for a response. Known fields are checked, unknown ones pass to the provider as they are. */
export class ResponseRequest implements RelayRequest {
  readonly model: string;
  readonly answer: AnswerKind;
  readonly outputCap: number | undefined;
  readonly choices = 1;
  readonly units: Units | undefined;
  readonly needs: RelayRequest["needs"];
  /** The most searches of the web that the provider may make. */
  readonly searches: number;
  readonly session: string | undefined;
  readonly refersTo: readonly Reference[];
  /** Where nothing is said the provider keeps the answer. */
  readonly keepsAnswer: boolean;
  readonly body: Readonly<Fields>;

  constructor(body: Fields) {
    this.body = body;
    this.model = body["model"] as string;
    this.answer = body["stream"] === true ? "stream" : "whole";
    this.searches = searchesOf(body);
    this.units = this.searches === 0 ? undefined : { searches: this.searches };
    this.needs = this.searches === 0 ? undefined : { meter: "searches", refusal: noSearch(body) };
    this.outputCap = (body["max_output_tokens"] ?? undefined) as number | undefined;
    this.session = typeof body["prompt_cache_key"] === "string" ? body["prompt_cache_key"] : undefined;
    this.refersTo = referencesOf(body);
    this.keepsAnswer = body["store"] !== false;
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget, model: PromptModel): number | PromptCount {
    return plusTokens(countPrompt(this.body, tokenizer, budget, model), this.searches * TOKENS_PER_SEARCH);
  }

  dialect(): Dialect {
    return new NativeResponse(this);
  }
}

const noSearch = (body: Fields): Failure =>
  refuse({ param: `tools[${searchTool(body)}].type`, message: "web search has no price for this model" }).failure;

/** Everything that lies at the provider and is named by an id. */
function referencesOf({ previous_response_id: previous, conversation, input }: Fields): Reference[] {
  const references: Reference[] = [];
  if (typeof previous === "string") references.push({ id: previous, param: "previous_response_id" });
  const talk = isObject(conversation) ? conversation["id"] : conversation;
  if (typeof talk === "string") references.push({ id: talk, param: "conversation" });
  if (!Array.isArray(input)) return references;
  for (const [i, item] of (input as Fields[]).entries()) {
    const kind = kindOf(item);
    // What was thought but not told, and a picture, is looked up by its id, unless it is brought along.
    const kept =
      kind === "item_reference" ||
      (kind === "reasoning" && typeof item["encrypted_content"] !== "string") ||
      (kind === "image_generation_call" && typeof item["result"] !== "string");
    if (kept && typeof item["id"] === "string") references.push({ id: item["id"], param: `input[${i}].id` });
  }
  return references;
}

/** Reads the parsed body of a request for a response. */
export function readResponseRequest(body: unknown): ReadResult {
  const read = asObject(body);
  if (!read.ok) return read;
  const { fields } = read;
  const problem =
    checkModel(fields["model"]) ??
    checkInput(fields) ??
    checkFields(RESPONSE_FIELDS, fields) ??
    checkTools(fields["tools"], "tools") ??
    checkSearches(fields);
  return problem ? refuse(problem) : { ok: true, request: new ResponseRequest(fields) };
}
