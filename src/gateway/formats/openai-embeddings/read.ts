import type { Failure } from "../../pipeline/failure.ts";
import type { Dialect, PromptModel, ReadResult, RelayRequest } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import {
  asObject,
  checkFields,
  checkModel,
  NO_CHOICE_OF_OTHERS,
  oneOf,
  refuse,
  text,
  whole,
  type Check,
  type Fields,
  type Problem,
} from "../checks.ts";
import { checkTextOrTokens, itemsOf, tokensOf, tooLong, type TextOrTokens } from "../tokenLists.ts";
import { NativeEmbedding } from "./native.ts";

/** OpenAI's limits (https://platform.openai.com/docs/api-reference/embeddings); a model of another vendor may read longer texts. */
const ITEMS = 2_048;
const TOKENS_EACH = 8_192;
const TOKENS_TOGETHER = 300_000;

const FIELDS: Record<string, Check> = {
  dimensions: whole(1, 100_000),
  encoding_format: oneOf("float", "base64"),
  user: text(512),
  ...NO_CHOICE_OF_OTHERS,
};

/** A validated request for embeddings. What they are encoded in is between client and provider. */
export class EmbeddingRequest implements RelayRequest {
  readonly model: string;
  readonly answer = "whole";
  readonly outputCap = 0;
  readonly choices = 1;
  readonly body: Readonly<Fields>;
  readonly #items: readonly (string | number[])[];

  constructor(body: Fields) {
    this.body = body;
    this.model = body["model"] as string;
    this.#items = itemsOf(body["input"] as TextOrTokens);
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget, { contextLength }: PromptModel): number | Failure {
    const most = Math.max(TOKENS_EACH, contextLength ?? 0);
    let sum = 0;
    // A count by size may be too high; only one by tokenizer refuses.
    let exact = true;
    for (const [i, item] of this.#items.entries()) {
      const tokens = tokensOf(item, tokenizer, budget);
      exact &&= budget.left > 0;
      if (tokens > most && (exact || typeof item !== "string")) {
        return tooLong(this.#items.length > 1 ? `input[${i}]` : "input", `must have at most ${most} tokens`);
      }
      sum += tokens;
    }
    return sum > TOKENS_TOGETHER && exact ? tooLong("input", `must have at most ${TOKENS_TOGETHER} tokens together`) : sum;
  }

  dialect(): Dialect {
    return new NativeEmbedding(this);
  }
}

function checkInput(input: unknown): Problem | undefined {
  if (input === undefined) return { param: "input", message: "is required" };
  return checkTextOrTokens(input, "input", { items: ITEMS, empty: false });
}

/** Reads the parsed body of a request for embeddings. */
export function readEmbedding(body: unknown): ReadResult {
  const read = asObject(body);
  if (!read.ok) return read;
  const { fields } = read;
  const problem = checkModel(fields["model"]) ?? checkInput(fields["input"]) ?? checkFields(FIELDS, fields);
  return problem ? refuse(problem) : { ok: true, request: new EmbeddingRequest(fields) };
}
