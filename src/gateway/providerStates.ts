import type { Metrics } from "../platform/metrics.ts";
import type { Catalog } from "./providers/index.ts";
import type { Routing } from "./routing/index.ts";

/** How a provider is, as this copy knows it. */
export interface ProviderState {
  name: string;
  state: "closed" | "degraded" | "half_open" | "open";
  /** Keys that rest, by reason. */
  resting: readonly string[];
  /** Milliseconds to the first byte of its last answer to this copy; undefined before one. */
  latencyMs: number | undefined;
}

const STATES = ["closed", "degraded", "half_open", "open"] as const;

/** Answers how every active provider is. Asks nobody: the calls of customers have found it out. */
export function createProviderStates(deps: {
  catalog: Pick<Catalog, "providers">;
  routing: Pick<Routing, "health">;
  latencyOf: (providerId: string) => number | undefined;
}): () => Promise<ProviderState[]> {
  const { catalog, routing, latencyOf } = deps;
  return async () =>
    (await catalog.providers()).map(({ id, name }) => {
      const { state, restingKeys } = routing.health(id);
      return { name, state, resting: restingKeys.map(({ reason }) => reason), latencyMs: latencyOf(id) };
    });
}

/** Shows the circuits and resting keys of all providers as metrics. */
export function watchProviders(metrics: Metrics, states: () => Promise<ProviderState[]>): void {
  metrics.gauge({
    name: "tollkeeper_provider_state",
    help: "1 for the state of a provider's circuit as this copy knows it: closed, degraded (a model or key is out), half_open, open.",
    read: async () =>
      (await states()).flatMap(({ name, state }) =>
        STATES.map((one) => ({ labels: { provider: name, state: one }, value: one === state ? 1 : 0 })),
      ),
  });
  metrics.gauge({
    name: "tollkeeper_provider_keys_resting",
    help: "Keys of a provider that are not used for now.",
    read: async () => (await states()).map(({ name, resting }) => ({ labels: { provider: name }, value: resting.length })),
  });
}
