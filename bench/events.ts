import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createActivityMetrics, createBus, createLinesSink, type Bus, type NewEvent } from "../src/activity/index.ts";
import { createRelayMetrics } from "../src/gateway/metrics.ts";
import { createMonitorPublisher } from "../src/monitor/index.ts";
import { createLogger } from "../src/platform/logger.ts";
import { createMetrics } from "../src/platform/metrics.ts";
import { createRedis } from "../src/platform/redis.ts";
import { median } from "./relayProcess.ts";

const ROUNDS = 5;
const EVENTS = 40_000;
/** Told in one turn, with pauses in between, as a busy relay does: 10,000 a second. */
const AT_ONCE = 100;
const PAUSE_MS = 10;
const USERS = 50;

export interface EventCost {
  name: string;
  /** CPU microseconds an event, in all threads of the process. */
  cpu: number;
}

const callOf = (n: number): NewEvent => ({
  kind: "call.ended",
  user_id: `01a1fed8-7574-7810-a0ce-46c8109206${String(n % USERS).padStart(2, "0")}`,
  request_id: `request-${n}`,
  ip: "192.0.2.1",
  call_id: `01a1fed8-77b7-7a86-b8ff-${n}`,
  key_id: "01a1fed8-7682-7ca3-b595-12c39ea23b23",
  route: "/v1/chat/completions",
  model: "demo-chat",
  http_status: 200,
  error_code: null,
  error_class: null,
  duration_ms: 123.45,
  outcome: "ok",
  answer: "whole",
  provider: "provider",
  attempts: 1,
  first_byte_ms: 100.5,
  tokens: { input: 30, cached_input: 0, cache_write: 0, output: 50, reasoning: 0 },
  estimated: false,
  cost: "3.9",
  cached: false,
});

async function measure(bus: Bus): Promise<number> {
  const before = process.cpuUsage();
  for (let n = 0; n < EVENTS; n += AT_ONCE) {
    for (let i = 0; i < AT_ONCE; i++) bus.emit(callOf(n + i));
    await delay(PAUSE_MS);
  }
  await delay(200);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / EVENTS;
}

/** What one event costs: counted alone, with the activity log, and with the live monitor while nobody listens. */
export async function benchEvents(redisUrl: string): Promise<EventCost[]> {
  const log = createLogger({ level: "silent", name: "bench" });
  const redis = createRedis({ url: redisUrl, log });
  const dir = await mkdtemp(path.join(tmpdir(), "bench-events-"));
  const files = { maxFileBytes: 2 ** 26, maxOpen: 128, keepMs: 86_400_000, maxBytes: 2 ** 40 };
  const lines = () =>
    createLinesSink({ dir, name: "bench", limit: 10_000, everyMs: 100, ...files, metrics: createActivityMetrics(createMetrics()), log });
  const buses: Record<string, Bus> = { "counted alone": createBus(), "and the activity log": createBus(), "and the monitor": createBus() };
  for (const bus of Object.values(buses)) createRelayMetrics(createMetrics(), bus);
  buses["and the activity log"]!.addSink(lines());
  buses["and the monitor"]!.addSink(lines());
  buses["and the monitor"]!.addSink(createMonitorPublisher({ redis, name: "bench" }));
  try {
    const rounds = new Map<string, number[]>(Object.keys(buses).map((name) => [name, []]));
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [name, bus] of Object.entries(buses)) {
        const cpu = await measure(bus);
        // The first warms up.
        if (round > 0) rounds.get(name)!.push(cpu);
      }
    }
    return [...rounds].map(([name, costs]) => ({ name, cpu: median(costs) }));
  } finally {
    await Promise.all(Object.values(buses).map((bus) => bus.stop(1_000)));
    redis.disconnect();
    rmSync(dir, { recursive: true, force: true });
  }
}
