import type { Units } from "../../../pricing/index.ts";
import type { Dialect, ReadResult, RelayRequest } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import {
  asObject,
  boolean,
  checkFields,
  checkModel,
  isObject,
  NO_CHOICE_OF_OTHERS,
  refuse,
  whole,
  type Check,
  type Fields,
  type Problem,
} from "../checks.ts";
import { NativeRerank } from "./native.ts";

const DOCUMENTS = 10_000;
/** A search unit is a query over up to so many documents of so many tokens; a longer one counts as several (https://docs.cohere.com/docs/how-does-cohere-pricing-work). */
const UNIT_DOCUMENTS = 100;
const DOCUMENT_TOKENS = 500;
/** A token has at least one byte; counting words would cost more than it is worth. */
const DOCUMENT_BYTES = DOCUMENT_TOKENS * 3;

const FIELDS: Record<string, Check> = {
  top_n: whole(1, 1_000_000),
  top_k: whole(1, 1_000_000),
  return_documents: boolean,
  max_chunks_per_doc: whole(1, 1_000_000),
  max_tokens_per_doc: whole(1, 10_000_000),
  ...NO_CHOICE_OF_OTHERS,
};

const MEDIA = ["image", "image_url", "video", "video_url", "audio", "audio_url"];

/** The text of a document, which may be a text or an object with fields. */
const textOf = (document: unknown): string => (typeof document === "string" ? document : (JSON.stringify(document) ?? ""));

/** A validated request to order documents. Vendors count either tokens or search units; the price says which is charged. */
export class RerankRequest implements RelayRequest {
  readonly model: string;
  readonly answer = "whole";
  readonly outputCap = 0;
  readonly choices = 1;
  readonly units: Units;
  readonly body: Readonly<Fields>;
  readonly #documents: string[];

  constructor(body: Fields) {
    this.body = body;
    this.model = body["model"] as string;
    this.#documents = (body["documents"] as unknown[]).map(textOf);
    this.units = { requests: this.#searchUnits() };
  }

  #searchUnits(): number {
    let chunks = 0;
    for (const text of this.#documents) chunks += Math.max(1, Math.ceil(Buffer.byteLength(text) / DOCUMENT_BYTES));
    return Math.ceil(chunks / UNIT_DOCUMENTS);
  }

  get documents(): number {
    return this.#documents.length;
  }

  /** Search units that so many documents are, however short they are. */
  get leastUnits(): number {
    return Math.ceil(this.#documents.length / UNIT_DOCUMENTS);
  }

  /** The query is read together with every document. */
  countPrompt(tokenizer: Tokenizer, budget: Budget): number {
    let tokens = tokenizer.count(textOf(this.body["query"]), budget) * this.#documents.length;
    for (const text of this.#documents) tokens += tokenizer.count(text, budget);
    return tokens;
  }

  dialect(): Dialect {
    return new NativeRerank(this);
  }
}

function checkQuery(query: unknown): Problem | undefined {
  if (query === undefined || query === null) return { param: "query", message: "is required" };
  return (typeof query === "string" && query !== "") || isObject(query) ? undefined : { param: "query", message: "must be text" };
}

function checkDocuments(documents: unknown): Problem | undefined {
  if (documents === undefined || documents === null) return { param: "documents", message: "is required" };
  if (!Array.isArray(documents)) return { param: "documents", message: "must be a list" };
  if (documents.length === 0) return { param: "documents", message: "must not be empty" };
  if (documents.length > DOCUMENTS) return { param: "documents", message: `must be a list of at most ${DOCUMENTS}` };
  const odd = documents.findIndex((document) => typeof document !== "string" && !isObject(document));
  if (odd >= 0) return { param: `documents[${odd}]`, message: "must be text or an object" };
  // What a picture or a sound costs is not known here.
  const media = documents.findIndex(
    (document) => isObject(document) && MEDIA.some((name) => document[name] !== undefined && document[name] !== null),
  );
  return media < 0 ? undefined : { param: `documents[${media}]`, message: "only text is offered here" };
}

/** Reads the parsed body of a request to order documents. */
export function readRerank(body: unknown): ReadResult {
  const read = asObject(body);
  if (!read.ok) return read;
  const { fields } = read;
  const problem =
    checkModel(fields["model"]) ?? checkQuery(fields["query"]) ?? checkDocuments(fields["documents"]) ?? checkFields(FIELDS, fields);
  return problem ? refuse(problem) : { ok: true, request: new RerankRequest(fields) };
}
