import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Listener, Upstream } from "./exchange.ts";

/** A provider's answer to a small question of ours. */
export interface Answered {
  status: number;
  headers: IncomingHttpHeaders;
  /** Of an answer that is handed on as it comes, only the last piece. */
  body: Buffer;
}

/** Why there is none. */
export class NoAnswer extends Error {
  readonly reason: "time-out" | "too large" | "connection" | "stopped";

  constructor(reason: NoAnswer["reason"], cause?: unknown) {
    super(`no answer from the provider: ${reason}`, { cause });
    this.reason = reason;
  }
}

/** Where a good answer goes as it comes: one of any length takes no more memory than a few pieces. */
export interface Onward {
  res: ServerResponse;
  /** Writes the head, as soon as there is more than one piece. */
  begin(status: number, headers: IncomingHttpHeaders): void;
  /** The longest silence of the provider between two pieces, and of a client that takes none. */
  idleMs: number;
  clientIdleMs: number;
}

export interface Question {
  url: string;
  method: "GET" | "DELETE" | "POST" | "PUT";
  headers: string[];
  body?: Buffer;
  connectMs: number;
  /** For the whole answer, or, where it is handed on, for its head. */
  totalMs: number;
  /** In bytes, of an answer that is not handed on. */
  limit: number;
  /** Nobody waits for it any more. */
  signal?: AbortSignal;
  onward?: Onward | undefined;
}

const isGood = (status: number): boolean => status >= 200 && status <= 299;

/**
 * Asks a provider something that is not a call of its models and waits for the end of the answer. A good one goes `onward` meanwhile, all but
 * its last piece, which is the caller's to send; every other is read whole. Rejects with {@link NoAnswer}, also when the answer has more than
 * `limit` bytes or takes too long, and after `signal`; what has gone onward by then has no end.
 */
export function ask(upstream: Pick<Upstream, "send">, question: Question): Promise<Answered> {
  const { url, method, headers, body = null, connectMs, totalMs, limit, signal, onward } = question;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let head: Omit<Answered, "body"> | undefined;
    let timer: NodeJS.Timeout | undefined;
    const within = (ms: number): void => {
      clearTimeout(timer);
      timer = setTimeout(() => give("time-out"), ms);
    };
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      onward?.res.off("drain", drained);
    };
    const give = (reason: NoAnswer["reason"], cause?: unknown): void => {
      settle();
      exchange.abort();
      reject(new NoAnswer(reason, cause));
    };
    const stop = (): void => give("stopped");
    const drained = (): void => {
      within(onward!.idleMs);
      exchange.resume();
    };
    const handOn = ({ res, begin, idleMs, clientIdleMs }: Onward, piece: Buffer): void => {
      if (!res.headersSent) begin(head!.status, head!.headers);
      if (res.write(piece)) return within(idleMs);
      within(clientIdleMs);
      exchange.pause();
      res.once("drain", drained);
    };
    const listener: Listener = {
      head: (status, answered) => (head = { status, headers: answered }),
      data(chunk) {
        const before = onward && isGood(head!.status) ? chunks.pop() : undefined;
        chunks.push(chunk);
        if (before) return handOn(onward!, before);
        length += chunk.length;
        if (length > limit && !(onward && isGood(head!.status))) give("too large");
      },
      done() {
        settle();
        resolve({ ...head!, body: Buffer.concat(chunks) });
      },
      broke: (error) => give("connection", error),
      threw: (error) => give("connection", error),
    };
    within(totalMs);
    signal?.addEventListener("abort", stop);
    const exchange = upstream.send({ url, method, headers, body, connectMs }, listener);
    if (signal?.aborted) stop();
  });
}
