import { ask, startRole, stopParts, type Part, type RelayPlaces } from "./parts.ts";
import { median, type LoadResult, type Watching } from "./relayProcess.ts";

const ROUNDS = 5;
const PARALLEL = 32;
const CALLS = 3_000;

export interface WatchingResult {
  name: string;
  /** CPU microseconds a call of the relay. */
  cpu: number;
  /** Median over the rounds of what it costs more than the first. */
  more: number;
}

/** What it costs to be watched: the same whole answers by relays that differ in this alone, in interleaved rounds. */
export async function benchWatching(places: RelayPlaces): Promise<WatchingResult[]> {
  const [upstream, collector, client] = await Promise.all([startRole("upstream"), startRole("collector"), startRole("client")]);
  const start = (watching: Watching): Promise<Part> =>
    startRole("relay", [upstream.at.url, places.databaseUrl, places.redisUrl, JSON.stringify(watching)], ["--max-semi-space-size=64"]);
  const relays: Record<string, Part> = {
    "counters alone": await start({}),
    "read every second, with the process's own figures": await start({ metrics: true }),
    "traces of 1 %": await start({ collector: collector.at.url, ratio: 0.01 }),
    "traces of 100 %": await start({ collector: collector.at.url, ratio: 1 }),
  };

  async function measure(relay: Part): Promise<number> {
    const before = await ask<NodeJS.CpuUsage>(relay.who, { kind: "cpu" });
    const { bad } = await ask<LoadResult>(client.who, { kind: "load", ...relay.at, calls: CALLS, parallel: PARALLEL });
    if (bad > 0) throw new Error(`${bad} of ${CALLS} calls failed`);
    const after = await ask<NodeJS.CpuUsage>(relay.who, { kind: "cpu" });
    return (after.user - before.user + after.system - before.system) / CALLS;
  }

  try {
    const names = Object.keys(relays);
    for (const name of names) await measure(relays[name]!);
    const rounds: number[][] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const costs: number[] = [];
      for (const name of names) costs.push(await measure(relays[name]!));
      rounds.push(costs);
    }
    return names.map((name, i) => ({
      name,
      cpu: median(rounds.map((costs) => costs[i]!)),
      more: median(rounds.map((costs) => costs[i]! - costs[0]!)),
    }));
  } finally {
    stopParts({ upstream, collector, client, ...relays });
  }
}
