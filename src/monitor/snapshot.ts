import { measureHealth, type HealthCheck } from "../http/health.ts";
import { within } from "../platform/within.ts";

/** What the monitor asks others. */
export interface MonitorSources {
  /** The parts of the system. */
  checks: readonly HealthCheck[];
  /** Calls that wait for their charge, and since when. */
  backlog(): Promise<{ pending: number; oldestSeconds: number }>;
  /** Calls that began within the last minute. */
  lastMinute(): Promise<LastMinute>;
  /** Jobs by queue and state. */
  queues(): Promise<Record<string, Record<string, number>>>;
  /** Calls under way in this process. */
  live(): number;
}

/** Calls by how they ended, failures by class, tokens. */
export interface LastMinute {
  calls: { ok: number; client_gone: number; failed: number };
  errors: Record<string, number>;
  tokens: { input: number; output: number };
}

const PATIENCE_MS = 2_000;
const FRESH_MS = 2_000;

/** Null for what cannot be found out now. */
const orNull = <T>(work: Promise<T>): Promise<T | null> => within(PATIENCE_MS, work).catch(() => null);

/** How the system is: its parts, what waits, how the last minute went. Asked at most every two seconds, whoever wants to know. */
export function createSnapshot(sources: MonitorSources) {
  async function take() {
    const [measured, backlog, lastMinute, queues] = await Promise.all([
      Promise.all(sources.checks.map((check) => measureHealth(check, true))),
      orNull(sources.backlog()),
      orNull(sources.lastMinute()),
      orNull(sources.queues()),
    ]);
    const bad = measured.some(({ required, status }) => required && status === "down");
    return {
      at: new Date().toISOString(),
      status: bad ? "down" : measured.every(({ status }) => status === "up") ? "up" : "degraded",
      parts: Object.fromEntries(sources.checks.map(({ name }, i) => [name, measured[i]])),
      settlement: backlog && { waiting: backlog.pending, oldest_seconds: Math.round(backlog.oldestSeconds * 10) / 10 },
      last_minute: lastMinute,
      queues,
      live: sources.live(),
    };
  }

  let last: { atMs: number; snapshot: ReturnType<typeof take> } | undefined;
  return () => {
    if (!last || performance.now() - last.atMs > FRESH_MS) last = { atMs: performance.now(), snapshot: take() };
    return last.snapshot;
  };
}

export type Snapshot = ReturnType<typeof createSnapshot>;
