import type { IncomingHttpHeaders } from "node:http";
import { Agent, type Dispatcher } from "undici";
import { guardedConnector } from "../../platform/addresses.ts";

/** Who listens to one request to a provider. Exactly one of `done`, `broke` and `threw` is called last. */
export interface Listener {
  head(status: number, headers: IncomingHttpHeaders): void;
  data(chunk: Buffer): void;
  done(): void;
  broke(error: Error): void;
  /** One of the others threw, and the connection is closed for it: undici would keep that to itself, and the call would never end. */
  threw(error: unknown): void;
}

/** One request under way at a provider. */
export class Exchange implements Dispatcher.DispatchHandler {
  /** Nothing more will come. */
  ended = false;
  readonly #listener: Listener;
  #controller: Dispatcher.DispatchController | undefined;
  #aborted = false;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** Closes the connection; the listener hears no more. */
  abort(): void {
    if (this.#aborted || this.ended) return;
    this.#aborted = true;
    this.#controller?.abort(new Error("aborted"));
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(new Error("aborted"));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // 1xx answers are only a prelude.
    if (status < 200 || this.#aborted) return;
    try {
      this.#listener.head(status, headers);
    } catch (error) {
      this.#threw(error);
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#aborted) return;
    try {
      this.#listener.data(chunk);
    } catch (error) {
      this.#threw(error);
    }
  }

  onResponseEnd(): void {
    this.ended = true;
    if (this.#aborted) return;
    try {
      this.#listener.done();
    } catch (error) {
      this.#threw(error);
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.ended = true;
    if (this.#aborted) return;
    try {
      this.#listener.broke(error);
    } catch (unexpected) {
      this.#threw(unexpected);
    }
  }

  #threw(error: unknown): void {
    this.abort();
    this.#listener.threw(error);
  }
}

export interface Upstream {
  /** Sends one request to `url`, a POST unless said otherwise. The listener is called from later turns of the event loop. */
  send(
    request: {
      url: string;
      method?: "POST" | "GET" | "DELETE" | "PUT" | undefined;
      headers: string[];
      body: Buffer | null;
      connectMs: number;
    },
    listener: Listener,
  ): Exchange;
  close(): Promise<void>;
}

/** Where a URL leads: what undici calls origin, and the path. Parsed once per URL. */
function createTargets(): (url: string) => { origin: string; path: string } {
  const known = new Map<string, { origin: string; path: string }>();
  return (url) => {
    let target = known.get(url);
    if (!target) {
      const { origin, pathname, search } = new URL(url);
      if (known.size > 10_000) known.clear();
      known.set(url, (target = { origin, path: pathname + search }));
    }
    return target;
  };
}

/**
 * Connections to providers: kept alive per origin, no redirects, no private addresses unless allowed. The time-outs for answers are the
 * registry's; only connecting is watched here.
 */
export function createUpstream(options: { allowPrivate: boolean }): Upstream {
  const targetOf = createTargets();
  // One agent for each time-out of connecting in use, of which there are few.
  const agents = new Map<number, Agent>();

  function agentFor(connectMs: number): Agent {
    let agent = agents.get(connectMs);
    if (!agent) {
      const connect = guardedConnector({ allowPrivate: options.allowPrivate, timeoutMs: connectMs });
      agents.set(connectMs, (agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 15_000, connect })));
    }
    return agent;
  }

  return {
    send({ url, method = "POST", headers, body, connectMs }, listener) {
      const exchange = new Exchange(listener);
      try {
        const { origin, path } = targetOf(url);
        agentFor(connectMs).dispatch({ origin, path, method, headers, body }, exchange);
      } catch (error) {
        setImmediate(() => exchange.onResponseError(undefined, error as Error));
      }
      return exchange;
    },
    async close() {
      await Promise.all([...agents.values()].map((agent) => agent.close()));
    },
  };
}
