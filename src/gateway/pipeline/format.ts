import type { TokenClasses, Units } from "../../pricing/index.ts";
import type { Delivered } from "../tokens/gathered.ts";
import type { Budget, Tokenizer } from "../tokens/index.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import type { Failure } from "./failure.ts";

export type { Delivered } from "../tokens/gathered.ts";

/** What a provider speaks, whatever its clients do. */
export type Speaks = "openai" | "claude" | "dify";

/**
 * How an answer comes: as server-sent events, as one body that is read before it is passed on, or as bytes of any kind (sound, say) that
 * are passed on as they come.
 */
export type AnswerKind = "stream" | "whole" | "bytes";

/** What is known of an answer at its end. */
export interface EndedAnswer {
  tokens: TokenClasses;
  estimated: boolean;
  /** All of it may be seen: it was checked, where answers are. */
  passed?: boolean;
}

/** What a request builds on of an earlier answer, which a provider has kept. */
export interface Reference {
  /** The answer's id, or that of a piece of it. */
  id: string;
  /** The field that names it. */
  param: string;
}

/** What a provider keeps of its answer for later requests to build on. */
export interface KeptAnswer {
  id: string;
  /** Ids of its pieces. */
  items: readonly string[];
}

/** What of a model the count of a prompt goes by. */
export interface PromptModel {
  name: string;
  /** How many tokens it can read and write together; null when nobody has said. */
  contextLength: number | null;
  /** The most tokens of one picture, of one file whose pages cannot be counted, and of a second of video; null for the usual. */
  maxImageTokens: number | null;
  maxFileTokens: number | null;
  videoSecondTokens: number | null;
}

/** A prompt with pictures, files or a predicted answer: what it is taken to have, and how many tokens more it may turn out to have. */
export interface PromptCount {
  tokens: number;
  unseen: number;
  /** What may be charged as output beside the answer, for each choice, and is under no cap. */
  besideAnswer?: number;
}

/** A request as the pipeline sees it, whatever format it came in. */
export interface RelayRequest {
  /** The model as the caller wrote it. */
  model: string;
  answer: AnswerKind;
  /** The most tokens one answer may have, as the caller said; undefined when it did not. */
  outputCap: number | undefined;
  /** Answers asked for at once; each may use the cap. */
  choices: number;
  /** The most that may be used of what is priced per one; undefined for nothing but the request itself. */
  units?: Units | undefined;
  /** What must have a price beside what the route charges, and the refusal when it has none. */
  needs?: { meter: Meter; refusal: Failure } | undefined;
  /** What the calls of one conversation have in common, where the body says it: they go to the same provider. */
  session?: string | undefined;
  /** Earlier answers the request builds on: they must be the account's own, and only the provider that has them can go on. */
  refersTo?: readonly Reference[] | undefined;
  /** The provider keeps the answer: it is noted whose it is before the client has seen its end. */
  keepsAnswer?: boolean;
  /** It is not undone when its client leaves: from then on it goes on by itself. */
  readonly outlives?: boolean;
  /** It only watches what another call of the account pays for: it counts as a request, and needs no hold, place or record. */
  readonly listens?: boolean;
  /** What the provider may add to the prompt out of our sight; counted where its client left and it does not say what was used. */
  readonly addedUnseen?: number;
  /** The provider cannot be told a cap: what the model may put out is held in full, never what a poor wallet leaves. */
  uncapped?: true;
  /** Settles, once the caller is known, what the body alone does not say: the model, whose things it names, where they lie. */
  prepare?(deps: RelayDeps, call: Call): Promise<Failure | undefined>;
  /** Notes whose these are: as soon as they are known, and with what the call used at its end. Never rejects. */
  noteMade?(deps: RelayDeps, call: Call, made: Made, ended?: EndedAnswer): Promise<void>;
  /**
   * Notes, before a provider is asked, that the account pays for what is about to go on there, whoever reads its end. It is not asked when
   * this rejects.
   */
  pledge?(deps: RelayDeps, call: Call): Promise<void>;
  /** Says what came of that. True: the call's hold is kept, and somebody else finds out what it pays for. Never rejects. */
  redeem?(deps: RelayDeps, call: Call, how: Redeemed): Promise<boolean>;
  /** The one provider that can be asked, because it has what the request builds on. */
  readonly providerId?: string | undefined;
  /**
   * Prompt tokens as far as we can count them: text, tools and schemas by tokenizer, pictures and files by the model's rules. A failure
   * when the count itself is against the rules.
   */
  countPrompt(tokenizer: Tokenizer, budget: Budget, model: PromptModel): number | PromptCount | Failure;
  /** How a provider that speaks this is asked; a failure when it cannot be asked this. Called once per attempt. */
  dialect(speaks: Speaks): Dialect | Failure;
}

/**
 * - `paused`: it waits for a person; about to be recorded
 * - `charged`: what was read is recorded
 * - `counted`: its client left, and what it had used by then is recorded as it was counted
 * - `known`: somebody else had recorded it
 * - `failed`: the provider says so, and nothing is charged
 * - `refused`: nothing was set going
 * - `left`: it may go on, and this call will not see its end
 */
export type Redeemed = "paused" | "charged" | "counted" | "known" | "failed" | "refused" | "left";

export type ReadResult<R = RelayRequest> = { ok: true; request: R } | { ok: false; failure: Failure };

/** What a provider says it used, in disjoint classes. `notes` are oddities worth an incident. */
export interface Usage {
  tokens: TokenClasses;
  /** Of what is priced per one; the request itself need not be said. */
  units?: Units | undefined;
  notes: string[];
}

/** One request as a provider is sent it. */
export interface EncodedRequest {
  body: Buffer;
  contentType: string;
}

/** One request and its answer in the words of what a provider speaks; converts where the client speaks otherwise. */
export interface Dialect {
  /** Appended to the provider's root, which ends with its version. */
  path: string;
  /** POST unless said; without a body then. */
  method?: "GET";
  /** The body for the provider, with its name of the model and, when given, another output cap. */
  encode(upstreamModel: string, outputCap: number | undefined): EncodedRequest;
  /** Names and values in turn, beside those every request has; from an allow-list. */
  headers?(caller: Record<string, string | string[] | undefined>): string[];
  /** It is done once: where it is not known whether the provider has taken it, it is not asked for again. */
  readonly once?: true;
  /** For a request whose answer is a stream or bytes. */
  openStream(options: { endsWithoutTerminal: boolean }): StreamReader;
  /** Some providers answer a request for a stream with a whole answer: it is taken as one. */
  readonly mayAnswerWhole?: true;
  /** The provider is asked for a stream although the client wants the whole: {@link StreamReader.tail} is the answer. */
  readonly gathers?: boolean;
  /** For a request whose answer is whole. */
  readWhole(body: Buffer, contentType: string | undefined): WholeResult;
  /** The whole answer, made here: for what a provider has nothing like. It is not asked then. */
  local?(tokenizer: Tokenizer): Buffer;
  /** What a provider's error answer (status 3xx, 4xx, 5xx) means. */
  readError(status: number, body: Buffer, retryAfter: number | undefined): Failure;
  /** For providers that go on when the connection is closed: how this answer is stopped; undefined while that cannot be said yet. */
  stop?(made: Made | undefined): StopRequest | undefined;
}

/** Reads one provider's stream: cuts it into events, decides what passes on, keeps what is needed to count and to end. */
export interface StreamReader {
  /**
   * Takes bytes as they arrive and returns those to hand on now: complete events only, and none before the first with content, so that
   * another provider can be asked until then. Look at `state` afterwards. The caller must write what it is given: it counts as delivered.
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
  /** The tail with what was counted here and is charged, where a client of a converted answer is to see it. */
  restate?(counted: TokenClasses): Buffer;
  /** Whether any content has been delivered. */
  hasContent(): boolean;
  /** What the provider keeps of this answer, once it has said so. */
  readonly kept?: KeptAnswer | undefined;
  /** The number the next event would have, in formats that number them. */
  readonly nextNumber?: number;
  /** The end was read, and what still comes belongs to it until the provider closes: whatever happens now, the answer is complete. */
  readonly closing?: boolean;
  /** What the provider has made for this caller, once it has said so. */
  readonly made?: Made | undefined;
  /** How many characters its words have; costs time. */
  readonly characters?: number;
  /** Nothing of it is handed on before its end, but the caller can have what was made elsewhere: who leaves pays for that. */
  readonly gathers?: boolean;
  /** It has failed for us alone: the provider works on, and has to be stopped. */
  readonly goesOn?: boolean;
}

/** Things of a provider that belong to whom they were made for: he alone may name them in later requests. */
export interface Made {
  conversation?: string | undefined;
  message?: string | undefined;
  task?: string | undefined;
  /** A workflow's. */
  run?: string | undefined;
  /** What its charge is known by, whoever else reports it. */
  charge?: string | undefined;
  /** Forms that its run waits for. */
  forms?: readonly string[];
  /** Its run has paused; what comes after that is charged apart. */
  paused?: true;
  /** Of a run that goes on: the tokens that were charged before it paused. */
  settled?: number | undefined;
}

/** A request that makes a provider stop working on an answer that nobody waits for. */
export interface StopRequest {
  path: string;
  body: Buffer;
}

export type WholeResult =
  | {
      ok: true;
      usage: Usage | undefined;
      unreadableUsage: boolean;
      /** Oddities of what the provider said it used, worth an incident, beside those of `usage`. */
      notes?: string[];
      count(tokenizer: Tokenizer, budget: Budget): Delivered;
      /** What the client gets, when that is not what the provider sent. */
      body?: Buffer;
      /** The same with what was counted here and is charged, where the provider has not said what it used. */
      restate?(counted: TokenClasses): Buffer;
      /** The content type of the answer, when it is not JSON. */
      contentType?: string;
      kept?: KeptAnswer | undefined;
      made?: Made | undefined;
      /** What this sets going at the provider, for which the call is charged: it is read to its end when the client has its answer. */
      follow?: Dialect;
    }
  | { ok: false; failure: Failure };

/** How a format words what is ours to say. */
export interface Voice {
  /** The body of an error answer. */
  errorBody(failure: Failure, traceId: string): string;
  /** The error as the last event of a stream; `number` is its place, in formats that number events. */
  errorEvent(failure: Failure, traceId: string, number: number): string;
  /** Bytes that keep a silent stream alive and that every client ignores. */
  heartbeat: Buffer;
  /** Whose names the headers about limits have. */
  vendor: "openai" | "anthropic";
}

/** What of a price a route can charge. A model that has a price, but none of these, is refused there. */
export type Meter = "prompt" | "tokens" | "images" | "seconds" | "characters" | "requests" | "searches";

/** One API format: how a route reads the request, counts, ends and speaks of errors. Everything else is the pipeline's. */
export interface Format {
  /** The route clients call; also on the record. */
  route: string;
  /** What a provider may speak to serve it. */
  speaks: readonly Speaks[];
  /** How the body of a request comes; `either` goes by its content type. */
  body: "json" | "multipart" | "either" | "none";
  /** The most files a form may have, and the most bytes each; one of any size within the limit of all bodies unless said. */
  files?: { files: number; fileSize: number };
  meters: readonly Meter[];
  /** The same request may be answered by what it was answered before: it leaves nothing behind at the provider. */
  cacheable?: true;
  /** It costs nothing: limits hold, but there is no hold and no record. */
  free?: true;
  voice: Voice;
  /** Reads the parsed body: JSON, or a {@link Form}. A promise where a file has to be looked into. */
  read(body: unknown, headers: Record<string, string | string[] | undefined>): ReadResult | Promise<ReadResult>;
}
