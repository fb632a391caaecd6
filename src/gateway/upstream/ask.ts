import type { IncomingHttpHeaders } from "node:http";
import type { Listener, Upstream } from "./exchange.ts";

/** A provider's whole answer to a small question of ours. */
export interface WholeAnswer {
  status: number;
  headers: IncomingHttpHeaders;
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

/**
 * Asks a provider something that is not a call of its models and waits for the whole answer. Rejects with {@link NoAnswer}, also when the
 * answer has more than `limit` bytes or takes longer than `totalMs`, and when `signal` says that nobody waits for it any more.
 */
export function ask(
  upstream: Pick<Upstream, "send">,
  request: {
    url: string;
    method: "GET" | "DELETE" | "POST" | "PUT";
    headers: string[];
    body?: Buffer;
    connectMs: number;
    totalMs: number;
    limit: number;
    signal?: AbortSignal;
  },
): Promise<WholeAnswer> {
  const { url, method, headers, body = null, connectMs, totalMs, limit, signal } = request;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let head: Omit<WholeAnswer, "body"> | undefined;
    const give = (reason: NoAnswer["reason"], cause?: unknown): void => {
      settle();
      exchange.abort();
      reject(new NoAnswer(reason, cause));
    };
    const stop = (): void => give("stopped");
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    };
    const timer = setTimeout(() => give("time-out"), totalMs);
    signal?.addEventListener("abort", stop);
    const listener: Listener = {
      head: (status, answered) => (head = { status, headers: answered }),
      data(chunk) {
        chunks.push(chunk);
        length += chunk.length;
        if (length > limit) give("too large");
      },
      done() {
        settle();
        resolve({ ...head!, body: Buffer.concat(chunks) });
      },
      broke: (error) => give("connection", error),
      threw: (error) => give("connection", error),
    };
    const exchange = upstream.send({ url, method, headers, body, connectMs }, listener);
    if (signal?.aborted) stop();
  });
}
