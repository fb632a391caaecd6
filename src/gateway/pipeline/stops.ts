import type { Logger } from "../../platform/logger.ts";
import { createQueue } from "../../platform/queue.ts";
import { upstreamAuth, upstreamUrl } from "../providers/index.ts";
import type { Route } from "../routing/index.ts";
import { ask } from "../upstream/ask.ts";
import type { Upstream } from "../upstream/exchange.ts";
import { upstreamHeaders } from "../upstream/headers.ts";
import type { StopRequest } from "./format.ts";

/** Before each try, in milliseconds. */
const PAUSES_MS = [0, 300, 1_500];
const ANSWER_MS = 5_000;
const ANSWER_LIMIT = 64 * 1024;
/** At one provider: one that does not answer keeps nobody waiting at another. */
const AT_ONCE = 200;
/** Of all providers. Some hundred bytes each; beyond it the rest of the answers end by themselves. */
const MOST_WAITING = 20_000;

/** Tells providers to stop answers that nobody waits for. */
export interface Stops {
  /** A few tries, when it is its turn; never awaited by a call. */
  tell(route: Route, stop: StopRequest): void;
  /** Those that are told now or wait for their turn. */
  readonly size: number;
  /** Resolves when none is left. */
  idle(): Promise<void>;
}

export function createStops(deps: {
  upstream: Pick<Upstream, "send">;
  later(ms: number, then: () => void): unknown;
  log: Logger;
  /** Told of an answer that is left to end by itself, because too many wait. */
  dropped(): void;
  atOnce?: number;
  mostWaiting?: number;
}): Stops {
  const { upstream, later, log, dropped, atOnce = AT_ONCE, mostWaiting = MOST_WAITING } = deps;
  const turns = new Map<string, ReturnType<typeof createQueue>>();
  let size = 0;
  let idlers: (() => void)[] = [];

  function turnAt(providerId: string): ReturnType<typeof createQueue> {
    const known = turns.get(providerId) ?? createQueue(atOnce);
    turns.set(providerId, known);
    return known;
  }

  async function tell({ candidate: { provider, upstreamModel }, key }: Route, { path, body }: StopRequest): Promise<void> {
    const question = {
      url: upstreamUrl(provider, path, upstreamModel),
      method: "POST" as const,
      headers: upstreamHeaders({
        caller: {},
        speaks: provider.speaks,
        auth: upstreamAuth(provider, key.value, upstreamModel),
        accept: "application/json",
        contentType: "application/json",
        bytes: body.length,
        extra: provider.headers,
      }),
      body,
      connectMs: provider.timeouts.connectMs,
      totalMs: ANSWER_MS,
      limit: ANSWER_LIMIT,
    };
    for (const pauseMs of PAUSES_MS) {
      if (pauseMs > 0) await new Promise<void>((resolve) => void later(pauseMs, resolve));
      const status = await ask(upstream, question).then(
        (answer) => answer.status,
        () => 0,
      );
      // 4xx: the task is over, or unknown there.
      if (status >= 200 && status < 500 && status !== 429) return;
    }
    log.warn({ provider: provider.name }, "a provider could not be told to stop an answer that nobody waits for");
  }

  return {
    tell(route, stop) {
      const { provider } = route.candidate;
      if (size >= mostWaiting) {
        dropped();
        return log.warn({ provider: provider.name }, "too many answers are to be stopped; one is left to end");
      }
      size += 1;
      turnAt(provider.id)(() => tell(route, stop))
        .catch((error: unknown) => log.warn({ err: error, provider: provider.name }, "a provider could not be told to stop"))
        .finally(() => {
          size -= 1;
          if (size > 0) return;
          for (const idle of idlers) idle();
          idlers = [];
        });
    },
    get size() {
      return size;
    },
    idle: () => (size === 0 ? Promise.resolve() : new Promise((resolve) => idlers.push(resolve))),
  };
}
