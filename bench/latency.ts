import { ask, startParts, stopParts, type RelayPlaces } from "./parts.ts";
import { median, type LoadResult } from "./relayProcess.ts";

const ROUNDS = 3;
const PER_SECOND = 50;
const CALLS = 500;

export interface LatencyResult {
  /** Milliseconds that the relay adds to the pass-through's time for a whole answer, at 50 calls a second. */
  addedP50Ms: number;
  addedP99Ms: number;
}

/** The time that the relay adds when nothing is in a hurry: interleaved rounds, medians of their differences. */
export async function benchLatency(places: RelayPlaces): Promise<LatencyResult> {
  const parts = await startParts(places);
  const { bare, relay, client } = parts;
  const paced = (at: typeof relay.at) =>
    ask<LoadResult>(client.who, { kind: "load", ...at, calls: CALLS, parallel: 1, perSecond: PER_SECOND });
  try {
    for (const { at } of [bare, relay]) await ask(client.who, { kind: "load", ...at, calls: 2_000, parallel: 16 });
    const rounds = [];
    for (let round = 0; round < ROUNDS; round++) rounds.push({ bare: await paced(bare.at), relay: await paced(relay.at) });
    return {
      addedP50Ms: median(rounds.map((round) => round.relay.p50 - round.bare.p50)),
      addedP99Ms: median(rounds.map((round) => round.relay.p99 - round.bare.p99)),
    };
  } finally {
    stopParts(parts);
  }
}
