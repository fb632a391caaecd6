import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { CallRecord } from "../../dev/upstream/control/calls.ts";
import { createDifyEndpoints } from "../../dev/dify/endpoints.ts";
import { createEndpoints } from "../../dev/upstream/endpoints.ts";
import { createUpstream } from "../../dev/upstream/server.ts";

/** The demo upstream as a test directs it: over HTTP, so that it may run in this process or in another. */
export interface Directed {
  url: string;
  /** What the next calls meet, e.g. "[[fault:status code=429]]": the next `times` or all, or those that come with a key. */
  tell(directives: string, more?: { times?: number; keys?: Record<string, string> }): Promise<void>;
  /** What was received, oldest first: calls whose body or headers contain `q`. */
  calls(q?: string): Promise<CallRecord[]>;
  /** Everything as usual, and nothing on record. */
  reset(): Promise<void>;
}

/** Directs an upstream that runs already. */
export function directUpstream(url: string): Directed {
  async function ask<T>(path: string, method = "GET", body?: object): Promise<T> {
    const response = await fetch(url + path, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
    const answer = (await response.json()) as T & { message?: string };
    if (!response.ok) throw new Error(answer.message);
    return answer;
  }
  return {
    url,
    tell: async (directives, more = {}) => void (await ask("/control", "POST", { directives, ...more })),
    calls: async (q) => (await ask<{ calls: CallRecord[] }>(`/control/calls${q === undefined ? "" : `?q=${encodeURIComponent(q)}`}`)).calls,
    async reset() {
      await ask("/control", "DELETE");
      await ask("/control/calls", "DELETE");
    },
  };
}

/** Starts one in this process, which is a Dify as well; it speaks as fast as it can unless told a pace. */
export async function startUpstream(options: { key?: string; paceMs?: number } = {}): Promise<Directed & { close(): Promise<void> }> {
  const endpoints = [...createEndpoints(), ...createDifyEndpoints()];
  const server = createUpstream({ paceMs: 0, endpoints, ...options }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    ...directUpstream(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
