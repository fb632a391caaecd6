import type { Attempt } from "../../../../src/gateway/pipeline/attempt.ts";
import type { Candidate } from "../../../../src/gateway/providers/index.ts";
import { createCircuits, type Circuits } from "../../../../src/gateway/routing/circuits.ts";
import { createKeys, type Keys } from "../../../../src/gateway/routing/keys.ts";
import { createChooser, type Chooser } from "../../../../src/gateway/routing/router.ts";
import type { Ask } from "../../../../src/gateway/routing/types.ts";
import { createLogger } from "../../../../src/platform/logger.ts";

export const log = createLogger({ level: "silent", name: "test" });

/** A provider that serves one model; its keys are named as they are. */
export function candidate(id: string, more: { priority?: number; weight?: number; keys?: string[]; model?: string } = {}): Candidate {
  return {
    provider: {
      id,
      name: id,
      baseUrl: "http://x",
      apiRoot: "http://x/v1",
      keys: (more.keys ?? [`${id}-1`]).map((name) => ({ fingerprint: name, value: name })),
      apiFormat: "openai",
      speaks: "openai",
      custom: undefined,
      headers: {},
      timeouts: { connectMs: 1, firstByteMs: 1, wholeMs: 1, idleMs: 1, totalMs: 1 },
      flags: { skipDone: false, forwardTrace: false },
      config: {},
    },
    upstreamModel: more.model ?? "m",
    priority: more.priority ?? 0,
    weight: more.weight ?? 1,
    costs: null,
  };
}

/** A request that failed. */
export function tried(of: Candidate, errorCode: string, more: { key?: string; status?: number } = {}): Attempt {
  return {
    candidate: of,
    keyFingerprint: more.key ?? of.provider.keys[0]!.fingerprint,
    startedMs: 0,
    firstByteMs: null,
    endedMs: 0,
    status: more.status ?? null,
    outcome: "failed",
    errorCode,
    errorClass: "server",
    ofKey: errorCode === "upstream_refused" || errorCode === "upstream_rate_limited",
    upstreamRequestId: null,
    said: null,
  };
}

export const ask = (candidates: Candidate[], more: Partial<Ask> = {}): Ask => ({
  candidates,
  tries: [],
  roundFrom: 0,
  session: undefined,
  ...more,
});

export interface Rig {
  circuits: Circuits;
  keys: Keys;
  chooser: Chooser;
  /** What was told to other copies. */
  told: { field: string; forMs: number; count: number; reason: string }[];
  /** The provider and key of one choice; undefined for none. */
  pick(asked: Ask, nowMs?: number): string | undefined;
}

/** Routing alone, with a Redis that grants everything. */
export function rig(options: { random?: () => number; grants?: () => Promise<boolean> } = {}): Rig {
  const random = options.random ?? Math.random;
  const told: Rig["told"] = [];
  const shared = {
    put: (field: string, fact: { forMs: number; count: number; reason: string }) => void told.push({ field, ...fact }),
    lease: options.grants ?? (() => Promise.resolve(true)),
    keep: () => undefined,
    release: () => undefined,
  };
  const circuit = { enabled: true, windowMs: 10_000, minCalls: 5, failurePercent: 50, coolDownMs: 1_000 };
  const circuits = createCircuits({ config: circuit, shared, log, random });
  const keys = createKeys({ refusedMs: 600_000, limitedMs: 1_000 }, shared);
  const chooser = createChooser({ circuits, keys, random });
  return {
    circuits,
    keys,
    chooser,
    told,
    pick(asked, nowMs = 0) {
      const { route } = chooser.choose(asked, nowMs);
      return route && `${route.candidate.provider.id}/${route.key.fingerprint}`;
    },
  };
}
