import { ask, startParts, stopParts, type Part, type RelayPlaces } from "./parts.ts";
import { median, type LoadResult } from "./relayProcess.ts";

const ROUNDS = 5;
const PARALLEL = 32;
const CALLS = { whole: 3_000, stream: 1_000, "dify whole": 3_000, "dify stream": 1_000 };
const IDLE_STREAMS = 1_000;

export interface RelayResult {
  kind: "whole" | "stream" | "dify whole" | "dify stream";
  /** CPU microseconds a call, of the serving process alone. */
  relayCpu: number;
  bareCpu: number;
  /** Median of the rounds' own ratios. */
  times: number;
  relayP50Ms: number;
  bareP50Ms: number;
}

/**
 * CPU a call of the relay with everything on (API key, limits in Redis, hold and usage in Postgres, metering) beside a bare Express
 * pass-through: interleaved rounds, medians. The database must be the bench's own; it is migrated.
 */
export async function benchRelay(
  places: RelayPlaces,
  options: { rounds?: number; relayFlags?: string[]; kinds?: RelayResult["kind"][] } = {},
): Promise<{ results: RelayResult[]; bytesPerIdleStream: number }> {
  const parts = await startParts(places, options.relayFlags);
  const { bare, relay, client } = parts;

  /** What is asked of the pass-through, which knows no Dify, is the same answer in OpenAI's format. */
  async function measure(server: Part, kind: RelayResult["kind"]): Promise<{ cpu: number; p50: number }> {
    const calls = CALLS[kind];
    const { difyKey } = server.at;
    const dify = difyKey !== undefined && kind.startsWith("dify");
    const before = await ask<NodeJS.CpuUsage>(server.who, { kind: "cpu" });
    const { bad, p50 } = await ask<LoadResult>(client.who, {
      kind: "load",
      ...server.at,
      ...(dify ? { key: difyKey, dify } : {}),
      stream: kind.endsWith("stream"),
      calls,
      parallel: PARALLEL,
    });
    const after = await ask<NodeJS.CpuUsage>(server.who, { kind: "cpu" });
    if (bad > 0) throw new Error(`${bad} of ${calls} calls failed`);
    return { cpu: (after.user - before.user + after.system - before.system) / calls, p50 };
  }

  async function compare(kind: RelayResult["kind"]): Promise<RelayResult> {
    for (const server of [bare, relay]) await measure(server, kind);
    const rounds = [];
    for (let round = 0; round < (options.rounds ?? ROUNDS); round++)
      rounds.push({ bare: await measure(bare, kind), relay: await measure(relay, kind) });
    return {
      kind,
      relayCpu: median(rounds.map((round) => round.relay.cpu)),
      bareCpu: median(rounds.map((round) => round.bare.cpu)),
      times: median(rounds.map((round) => round.relay.cpu / round.bare.cpu)),
      relayP50Ms: median(rounds.map((round) => round.relay.p50)),
      bareP50Ms: median(rounds.map((round) => round.bare.p50)),
    };
  }

  try {
    const results = [];
    for (const kind of options.kinds ?? (["whole", "stream", "dify whole", "dify stream"] as const)) results.push(await compare(kind));
    const before = await ask<number>(relay.who, { kind: "memory" });
    const { bad } = await ask<LoadResult>(client.who, { kind: "hang", ...relay.at, stream: true, calls: IDLE_STREAMS });
    if (bad > 0) throw new Error(`${bad} of ${IDLE_STREAMS} silent streams were refused`);
    const after = await ask<number>(relay.who, { kind: "memory" });
    return { results, bytesPerIdleStream: (after - before) / IDLE_STREAMS };
  } finally {
    stopParts(parts);
  }
}
