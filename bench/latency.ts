import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import pg from "pg";
import { keepAwake } from "./awake.ts";
import { ask, startParts, stopParts, type RelayPlaces } from "./parts.ts";
import { median, type LoadResult } from "./relayProcess.ts";

const ROUNDS = 3;
const PER_SECOND = 50;
const CALLS = 500;

export interface LatencyResult {
  /** Whether the cores were kept from dozing off between calls, see awake.ts. */
  awake: boolean;
  /** Milliseconds that the relay adds to the pass-through's time for a whole answer, at 50 calls a second. */
  addedP50Ms: number;
  addedP99Ms: number;
  /** What of it is this machine's: one PING and two SELECT 1 one after the other, at that pace, when all three must be woken first. */
  floorP50Ms: number;
}

const FLOOR_ROUNDS = 150;

/** A call goes to Redis once and to Postgres twice. That takes so long when nothing is to be done there. */
async function floor(places: RelayPlaces): Promise<number> {
  const redis = new Redis(places.redisUrl);
  const postgres = new pg.Client({ connectionString: places.databaseUrl });
  await postgres.connect();
  const times: number[] = [];
  for (let round = 0; round < FLOOR_ROUNDS; round++) {
    await delay(1_000 / PER_SECOND);
    const began = performance.now();
    await redis.ping();
    for (let query = 0; query < 2; query++) await postgres.query({ name: "floor", text: "SELECT 1" });
    times.push(performance.now() - began);
  }
  redis.disconnect();
  await postgres.end();
  return median(times);
}

/** The time that the relay adds when nothing is in a hurry: interleaved rounds, medians of their differences. As the machine is, then kept awake. */
export async function benchLatency(places: RelayPlaces): Promise<LatencyResult[]> {
  const parts = await startParts(places);
  const { bare, relay, client } = parts;
  const paced = (at: typeof relay.at) =>
    ask<LoadResult>(client.who, { kind: "load", ...at, calls: CALLS, parallel: 1, perSecond: PER_SECOND });

  async function measure(awake: boolean): Promise<LatencyResult> {
    const rounds = [];
    for (let round = 0; round < ROUNDS; round++) rounds.push({ bare: await paced(bare.at), relay: await paced(relay.at) });
    return {
      awake,
      floorP50Ms: await floor(places),
      addedP50Ms: median(rounds.map((round) => round.relay.p50 - round.bare.p50)),
      addedP99Ms: median(rounds.map((round) => round.relay.p99 - round.bare.p99)),
    };
  }

  try {
    for (const { at } of [bare, relay]) await ask(client.who, { kind: "load", ...at, calls: 2_000, parallel: 16 });
    const results = [await measure(false)];
    const rest = await keepAwake();
    if (rest) results.push(await measure(true).finally(rest));
    return results;
  } finally {
    stopParts(parts);
  }
}
