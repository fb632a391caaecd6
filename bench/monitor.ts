import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ask, startRole, stopParts, type Part, type RelayPlaces } from "./parts.ts";
import { median, type LoadResult } from "./relayProcess.ts";

const ROUNDS = 3;
const PARALLEL = 16;
const CALLS = 1_000;
const LISTENERS = [0, 1, 200];

export interface ListeningResult {
  listeners: number;
  /** CPU microseconds a call of the relay, with everything its process does meanwhile. */
  cpu: number;
  p50Ms: number;
  p99Ms: number;
}

/** A relay without events, one that writes its activity log, and the same watched by so many listeners. */
export interface EventsResult {
  /** CPU microseconds a call: what telling and writing the events adds is the difference. */
  without: number;
  log: number;
  listening: ListeningResult[];
}

/** What events and listeners cost a call: whole answers by relays that differ in this alone, in interleaved rounds. */
export async function benchMonitor(places: RelayPlaces): Promise<EventsResult> {
  const [upstream, client] = await Promise.all([startRole("upstream"), startRole("client")]);
  const start = (events: "none" | "log" | "monitor"): Promise<Part> =>
    startRole("relay", [upstream.at.url, places.databaseUrl, places.redisUrl, JSON.stringify({ events })], ["--max-semi-space-size=64"]);
  const relays = { none: await start("none"), log: await start("log"), monitor: await start("monitor") };

  async function measure(relay: Part): Promise<{ cpu: number; p50: number; p99: number }> {
    const before = await ask<NodeJS.CpuUsage>(relay.who, { kind: "cpu" });
    const { bad, p50, p99 } = await ask<LoadResult>(client.who, { kind: "load", ...relay.at, calls: CALLS, parallel: PARALLEL });
    if (bad > 0) throw new Error(`${bad} of ${CALLS} calls failed`);
    const after = await ask<NodeJS.CpuUsage>(relay.who, { kind: "cpu" });
    return { cpu: (after.user - before.user + after.system - before.system) / CALLS, p50, p99 };
  }

  async function listening(listeners: number): Promise<ListeningResult> {
    const file = fileURLToPath(new URL("../test/integration/monitor/clients.process.js", import.meta.url));
    const clients = fork(file, [relays.monitor.at.monitor!, String(listeners)]);
    try {
      await new Promise((resolve) => clients.once("message", resolve));
      await measure(relays.monitor);
      const rounds = [];
      for (let round = 0; round < ROUNDS; round++) rounds.push(await measure(relays.monitor));
      return {
        listeners,
        cpu: median(rounds.map(({ cpu }) => cpu)),
        p50Ms: median(rounds.map(({ p50 }) => p50)),
        p99Ms: median(rounds.map(({ p99 }) => p99)),
      };
    } finally {
      clients.kill();
    }
  }

  try {
    for (const relay of [relays.none, relays.log]) await measure(relay);
    const rounds = [];
    for (let round = 0; round < ROUNDS; round++)
      rounds.push({ none: (await measure(relays.none)).cpu, log: (await measure(relays.log)).cpu });
    const result: EventsResult = {
      without: median(rounds.map(({ none }) => none)),
      log: median(rounds.map(({ log }) => log)),
      listening: [],
    };
    for (const listeners of LISTENERS) result.listening.push(await listening(listeners));
    return result;
  } finally {
    stopParts({ upstream, client, ...relays });
  }
}
