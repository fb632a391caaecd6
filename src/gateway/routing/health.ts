import type { Circuits } from "./circuits.ts";
import type { Keys } from "./keys.ts";
import type { ProviderHealth } from "./types.ts";

const wait = (untilMs: number, nowMs: number): number | null => (untilMs > nowMs ? Math.round(untilMs - nowMs) : null);

/** What this copy knows of a provider. */
export function healthOf(circuits: Circuits, keys: Keys, providerId: string, nowMs: number): ProviderHealth {
  const states = circuits.states(providerId, nowMs).map(({ retryMs, ...state }) => ({ ...state, retryInMs: wait(retryMs, nowMs) }));
  const whole = states.find(({ model }) => model === null);
  const restingKeys = keys.resting(providerId, nowMs).map((rest) => ({ ...rest, forMs: Math.round(rest.forMs) }));
  const partly = restingKeys.length > 0 || states.some(({ state }) => state !== "closed");
  return {
    state: whole && whole.state !== "closed" ? whole.state : partly ? "degraded" : "closed",
    retryInMs: whole?.retryInMs ?? null,
    circuits: states,
    restingKeys,
  };
}
