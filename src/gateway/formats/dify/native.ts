import { LRUCache } from "lru-cache";
import type { Dialect, EncodedRequest, Made, StopRequest, StreamReader, WholeResult } from "../../pipeline/format.ts";
import { readError } from "./errors.ts";
import { GatheredStream } from "./gathered.ts";
import type { DifyRequest } from "./read.ts";
import { DifyStream } from "./stream.ts";
import { readMessage, readRun } from "./whole.ts";

const NOTHING_SETTLED = { input: 0, output: 0 };

/** Apps that turned out to be agents, by their names here: the next blocking call is refused before Dify works for nothing. */
const agents = new LRUCache<string, true>({ max: 1_000, ttl: 600_000 });

/** Whether an app was an agent when it was last called. */
export const isAgent = (model: string): boolean => agents.has(model);

/** A call of an app as Dify is sent it: the client's body with our `user`, and without the name the app has here. */
export class DifyDialect implements Dialect {
  readonly path: string;
  readonly readError = readError;
  readonly #request: DifyRequest;

  constructor(request: DifyRequest) {
    this.path = request.route.path;
    this.#request = request;
  }

  /** Whatever the client wants: what blocks can be neither stopped nor charged when its client leaves. */
  encode(): EncodedRequest {
    const { body, user } = this.#request;
    const { model: _ours, ...rest } = body;
    const sent = { ...rest, response_mode: "streaming", user };
    return { body: Buffer.from(JSON.stringify(sent)), contentType: "application/json" };
  }

  get gathers(): boolean {
    return this.#request.answer === "whole";
  }

  openStream(): StreamReader {
    const { route, model } = this.#request;
    const stream = new DifyStream(route.kind, this.#parting());
    if (!this.gathers) return stream;
    const kind = route.kind === "workflow" ? "workflow" : route.asks ? "chat" : "completion";
    return new GatheredStream(kind, stream, () => agents.set(model, true));
  }

  readWhole(body: Buffer): WholeResult {
    return this.#request.route.kind === "message" ? readMessage(body) : readRun(body, this.#parting());
  }

  stop(made: Made | undefined): StopRequest | undefined {
    return stopOf(this.#request.route.stopUnder, made, this.#request.user);
  }

  #parting() {
    return { inputPercent: this.#request.settings.inputPercent, settled: NOTHING_SETTLED };
  }
}

/** Dify goes on when its connection is closed. With another `user` than the call's it would answer success and go on as well. */
export function stopOf(under: string, made: Made | undefined, user: string): StopRequest | undefined {
  if (made?.task === undefined) return undefined;
  return { path: `${under}/${made.task}/stop`, body: Buffer.from(JSON.stringify({ user })) };
}
