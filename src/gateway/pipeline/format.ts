import type { TokenClasses } from "../../pricing/index.ts";
import type { Budget, Tokenizer } from "../tokens/index.ts";
import type { UpstreamProvider } from "../providers/index.ts";
import type { Failure } from "./failure.ts";

/** A request as the pipeline sees it, whatever format it came in. */
export interface RelayRequest {
  /** The model as the caller wrote it. */
  model: string;
  stream: boolean;
  /** The most tokens one answer may have, as the caller said; undefined when it did not. */
  outputCap: number | undefined;
  /** Answers asked for at once; each may use the cap. */
  choices: number;
  /** Prompt tokens as far as we can count them: text, tools and schemas by tokenizer, images by a fixed rule. */
  countPrompt(tokenizer: Tokenizer, budget: Budget): number;
  /** The body for the provider, with its name of the model and, when given, another output cap. */
  encode(upstreamModel: string, outputCap: number | undefined): string;
}

export type ReadResult = { ok: true; request: RelayRequest } | { ok: false; failure: Failure };

/** What a provider says it used, in disjoint classes. `notes` are oddities worth an incident. */
export interface Usage {
  tokens: TokenClasses;
  notes: string[];
}

/** What was delivered to the client, counted by us. */
export interface Delivered {
  /** Whether any content (text, refusal, tool call, reasoning) was in it. */
  content: boolean;
  tokens: number;
}

/** Reads one provider's stream: cuts it into events, decides what passes on, keeps what is needed to count and to end. */
export interface StreamReader {
  /**
   * Takes bytes as they arrive and returns those to hand on now: complete events only. Look at `state` afterwards.
   * The caller must write what it is given: it counts as delivered.
   */
  push(chunk: Buffer): Buffer | undefined;
  /** The provider closed the stream. `state` is no longer "open" afterwards. */
  end(): Buffer | undefined;
  readonly state: "open" | "done" | "failed";
  /** Set when `state` is "failed". */
  readonly failure: Failure | undefined;
  /** The last event, held back until the charge is durable. Set when `state` is "done". */
  readonly tail: Buffer | undefined;
  /** The last usage seen. */
  readonly usage: Usage | undefined;
  /** The provider sent usage that cannot be read. */
  readonly unreadableUsage: boolean;
  /** Something that was passed on turned out to be malformed: nothing of this answer is charged. Costs time; asked once, at the end. */
  readonly unreadable: boolean;
  /** Counts what was delivered. Costs time; called once at the end, and only when the provider gave no usage. */
  count(tokenizer: Tokenizer, budget: Budget): Delivered;
  /** Whether any content has been delivered. */
  hasContent(): boolean;
}

export type WholeResult =
  | { ok: true; usage: Usage | undefined; unreadableUsage: boolean; count(tokenizer: Tokenizer, budget: Budget): Delivered }
  | { ok: false; failure: Failure };

/** One API format: how a route reads the request, counts, ends and speaks of errors. Everything else is the pipeline's. */
export interface Format {
  /** The route clients call; also on the record. */
  route: string;
  /** What a provider must speak to serve it. */
  apiFormat: UpstreamProvider["apiFormat"];
  /** Appended to the provider's root, which ends with its version. */
  upstreamPath: string;
  read(body: unknown): ReadResult;
  openStream(request: RelayRequest, options: { endsWithoutTerminal: boolean }): StreamReader;
  readWhole(body: Buffer): WholeResult;
  /** The body of an error answer. */
  errorBody(failure: Failure, traceId: string): string;
  /** The error as the last event of a stream. */
  errorEvent(failure: Failure, traceId: string): string;
  /** What a provider's error answer (status 4xx, 5xx) means. */
  readError(status: number, body: Buffer, retryAfter: number | undefined): Failure;
  /** Bytes that keep a silent stream alive and that every client ignores. */
  heartbeat: Buffer;
}
