import type { Failure } from "../../pipeline/failure.ts";
import type { Delivered, Made, StreamReader, Usage } from "../../pipeline/format.ts";
import { RawEvents } from "../../sse/raw.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { isObject, wordOf, type Fields } from "../checks.ts";
import { malformed } from "../events.ts";
import { readError } from "./errors.ts";
import type { DifyStream } from "./stream.ts";

/** An answer beyond this is not kept in memory. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Of a run, what its answer in one piece says; its events say more. */
const RUN_FIELDS = [
  "id",
  "workflow_id",
  "status",
  "outputs",
  "error",
  "elapsed_time",
  "total_tokens",
  "total_steps",
  "created_at",
  "finished_at",
];
/** Dify's words to who wants an agent's answer in one piece. */
const NO_BLOCKING = { code: "invalid_param", message: "Agent Chat App does not support blocking mode", status: 400 };

/** What an agent app says to a blocking call. */
export const agentRefuses = (): Failure => readError(400, Buffer.from(JSON.stringify(NO_BLOCKING)), undefined);

const pick = (data: Fields, names: readonly string[]): Fields =>
  Object.fromEntries(names.flatMap((name) => (name in data ? [[name, data[name]]] : [])));

/** What of the events of a stream the answer in one piece is made of. */
class Pieces {
  #answer = "";
  #common: Fields = {};
  #metadata: unknown = {};
  /** The end of a run, or its pause. */
  #run: Fields | undefined;

  read(fields: Fields): void {
    for (const name of ["task_id", "message_id", "conversation_id", "workflow_run_id", "created_at"]) {
      if (fields[name] !== undefined) this.#common[name] ??= fields[name];
    }
    switch (fields["event"]) {
      case "message":
      case "agent_message":
        this.#answer += wordOf(fields["answer"]);
        return;
      case "message_replace":
        this.#answer = wordOf(fields["answer"]);
        return;
      case "message_end":
        this.#metadata = fields["metadata"] ?? {};
        return;
      case "workflow_finished":
      case "workflow_paused":
        this.#run = fields;
    }
  }

  /** As Dify answers a blocking call of this kind (https://docs.dify.ai/api-reference): the same fields in the same order. */
  whole(kind: "chat" | "completion" | "workflow"): Fields {
    const { task_id, message_id, conversation_id, workflow_run_id, created_at } = this.#common;
    const data = isObject(this.#run?.["data"]) ? this.#run["data"] : {};
    const paused = this.#run?.["event"] === "workflow_paused";
    if (kind === "workflow") return { task_id, workflow_run_id, data: paused ? { ...data, status: "paused" } : pick(data, RUN_FIELDS) };
    const mode = kind === "completion" ? "completion" : workflow_run_id === undefined ? "chat" : "advanced-chat";
    return {
      event: paused ? "workflow_paused" : "message",
      task_id,
      id: message_id,
      message_id,
      ...(kind === "completion" ? {} : { conversation_id }),
      mode,
      answer: this.#answer,
      metadata: this.#metadata,
      created_at,
      ...(paused ? { workflow_run_id, data } : {}),
    };
  }
}

/**
 * The answer of a client who wants it in one piece, made of a stream. Only a stream says at its beginning by what it can be stopped and
 * charged when its client leaves.
 */
export class GatheredStream implements StreamReader {
  readonly gathers = true;
  tail: Buffer | undefined;
  readonly #kind: "chat" | "completion" | "workflow";
  readonly #stream: DifyStream;
  readonly #onAgent: () => void;
  readonly #pieces = new Pieces();
  readonly #events = new RawEvents((data) => this.#read(data));
  #bytes = 0;
  #refused: Failure | undefined;

  /** `onAgent` is told that the app is an agent, which has no answers in one piece. */
  constructor(kind: "chat" | "completion" | "workflow", stream: DifyStream, onAgent: () => void) {
    this.#kind = kind;
    this.#stream = stream;
    this.#onAgent = onAgent;
  }

  get state(): StreamReader["state"] {
    return this.#refused ? "failed" : this.#stream.state;
  }

  /** Dify works on although its answer is refused. */
  get goesOn(): boolean {
    return this.#refused !== undefined && this.#stream.state === "open";
  }

  get failure(): Failure | undefined {
    if (this.#refused) return this.#refused;
    const { failure, said } = this.#stream;
    if (!failure) return undefined;
    if (said) return saidWhole(said);
    return failure.verbatim ? { ...failure, verbatim: this.#whole(failure.verbatim) } : failure;
  }

  get usage(): Usage | undefined {
    return this.#stream.usage;
  }

  get unreadableUsage(): boolean {
    return this.#stream.unreadableUsage;
  }

  get unreadable(): boolean {
    return this.#stream.unreadable;
  }

  get made(): Made | undefined {
    return this.#stream.made;
  }

  get closing(): boolean {
    return !this.#refused && this.#stream.closing;
  }

  push(chunk: Buffer): undefined {
    if (this.state === "open") this.#take(this.#stream.push(chunk));
  }

  end(): undefined {
    if (this.state === "open") this.#take(this.#stream.end());
  }

  get characters(): number {
    return this.#stream.characters;
  }

  hasContent(): boolean {
    return this.#stream.hasContent();
  }

  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    return this.#stream.count(tokenizer, budget);
  }

  #take(events: Buffer | undefined): void {
    const stream = this.#stream;
    if (stream.agent) {
      this.#refused = agentRefuses();
      return this.#onAgent();
    }
    if (events) {
      this.#bytes += events.length;
      if (this.#bytes > MOST_BYTES) this.#refused = malformed("The provider's answer is too large");
      else this.#events.add(events);
    }
    if (stream.state === "done") this.tail ??= this.#whole(stream.tail!);
  }

  /** What is no JSON makes the stream itself fail. */
  #read(data: string): void {
    let fields: unknown;
    try {
      fields = JSON.parse(data);
    } catch {
      return;
    }
    if (isObject(fields)) this.#pieces.read(fields);
  }

  /** The answer, with what was held back of the stream's end. */
  #whole(last: Buffer): Buffer {
    this.#events.add(last);
    this.#events.fold();
    return Buffer.from(JSON.stringify(this.#pieces.whole(this.#kind)));
  }
}

/** A blocking call is answered with the status that the event of the error names. */
function saidWhole(said: Fields): Failure {
  const { status } = said;
  const known = typeof status === "number" && Number.isInteger(status) && status >= 400 && status <= 599;
  return readError(known ? status : 500, Buffer.from(JSON.stringify(said)), undefined);
}
