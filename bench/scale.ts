import { ask, startParts, stopParts, type RelayPlaces } from "./parts.ts";
import { median, type LoadResult } from "./relayProcess.ts";

const ROUNDS = 3;
const CALLS = 3_000;
const PARALLEL = 32;

export interface ScaleResult {
  keys: number;
  models: number;
  /** CPU microseconds a call of the relay. */
  cpu: number;
}

/** Whether a call costs more when there are many keys or many models: the same load, spread over them. */
export async function benchScale(places: RelayPlaces): Promise<ScaleResult[]> {
  const parts = await startParts(places);
  const { relay, client } = parts;
  try {
    const made = await ask<{ keys: string[]; models: string[] }>(relay.who, { kind: "provision", keys: 10_000, models: 100 });
    const sizes = [
      { keys: 10, models: 1 },
      { keys: 10_000, models: 1 },
      { keys: 10, models: 100 },
      { keys: 10_000, models: 100 },
    ];
    const measure = async ({ keys, models }: (typeof sizes)[number]): Promise<number> => {
      const before = await ask<NodeJS.CpuUsage>(relay.who, { kind: "cpu" });
      const { bad } = await ask<LoadResult>(client.who, {
        kind: "load",
        url: relay.at.url,
        keys: made.keys.slice(0, keys),
        models: made.models.slice(0, models),
        calls: CALLS,
        parallel: PARALLEL,
      });
      if (bad > 0) throw new Error(`${bad} of ${CALLS} calls failed`);
      const after = await ask<NodeJS.CpuUsage>(relay.who, { kind: "cpu" });
      return (after.user - before.user + after.system - before.system) / CALLS;
    };
    // Each key is met once before, as in a process that has run for a while.
    await ask(client.who, {
      kind: "load",
      url: relay.at.url,
      keys: made.keys,
      models: made.models,
      calls: made.keys.length,
      parallel: 64,
      inTurn: true,
    });
    const costs = sizes.map((): number[] => []);
    for (let round = 0; round < ROUNDS; round++) for (const [i, size] of sizes.entries()) costs[i]!.push(await measure(size));
    return sizes.map((size, i) => ({ ...size, cpu: median(costs[i]!) }));
  } finally {
    stopParts(parts);
  }
}
