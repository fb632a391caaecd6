import type { ProviderKey, UpstreamProvider } from "../providers/index.ts";
import { hashText, lot, sessionLot } from "./draw.ts";
import type { RestReason } from "./rules.ts";
import type { Fact, Shared } from "./shared.ts";
import { ENOUGH, Witnesses } from "./witnesses.ts";

/** For how long keys rest, in milliseconds. */
export interface KeyConfig {
  /** One that the provider refuses, or whose account is spent. */
  refusedMs: number;
  /** One that is rate limited when the provider names no time; doubled as it goes on. */
  limitedMs: number;
}

const MAX_LIMITED_MS = 60_000;
/** A 403 may be about something else than the key: several accounts must meet one within this time, and the first rests are shorter. */
const DOUBT_MS = 600_000;
const FORBIDDEN_SHARE = 0.1;

const NOW = { inMs: 0, reason: "" };

/** Until when a key rests, for one model or for all. */
interface Rest {
  untilMs: number;
  /** How often in a row. */
  count: number;
  reason: string;
}

export interface RestingKey {
  fingerprint: string;
  /** Null: for every model. */
  model: string | null;
  reason: string;
  forMs: number;
}

/** Whether a call has used a key already. */
export type Tried = (fingerprint: string) => boolean;

export interface Keys {
  /** The key for the next request: by turns, or the session's own; undefined when all rest or were tried. */
  pick(provider: UpstreamProvider, model: string, tried: Tried, session: number | undefined, nowMs: number): ProviderKey | undefined;
  /** When a key that was not tried is ready, 0 for now; undefined when all were tried. */
  ready(provider: UpstreamProvider, model: string, tried: Tried, nowMs: number): { inMs: number; reason: string } | undefined;
  /** The provider took it. */
  worked(providerId: string, key: ProviderKey, model: string, nowMs: number): void;
  /** The provider refused it or limits it, for a call of this account. True when it rests now and did not before. */
  rest(
    providerId: string,
    key: ProviderKey,
    model: string,
    why: { reason: RestReason; retryAfterMs: number | undefined; account: string },
    nowMs: number,
  ): boolean;
  /** Another copy's fact. */
  learn(field: string, fact: Fact, nowMs: number): void;
  /** Forgets the rests of a provider; their fields. */
  clear(providerId: string): string[];
  resting(providerId: string, nowMs: number): RestingKey[];
}

/** Names a rest; of the parts only the model may hold anything. An empty model means every one. */
const fieldOf = (providerId: string, fingerprint: string, model: string): string => `key|${providerId}|${fingerprint}|${model}`;

/** Which keys rest. A refusal or a spent account concerns the key as a whole, a rate limit only the model it was met with. */
export function createKeys(config: KeyConfig, shared: Pick<Shared, "put">): Keys {
  const rests = new Map<string, Rest>();
  const turns = new Map<string, number>();
  const hashes = new Map<string, number>();
  /** Who met a 403 with a key since it last worked. */
  const doubted = new Map<string, Witnesses>();

  function restOf(providerId: string, fingerprint: string, model: string, nowMs: number): Rest | undefined {
    if (rests.size === 0) return undefined;
    const whole = rests.get(fieldOf(providerId, fingerprint, ""));
    if (whole && whole.untilMs > nowMs) return whole;
    const here = rests.get(fieldOf(providerId, fingerprint, model));
    return here && here.untilMs > nowMs ? here : undefined;
  }

  function hashOf(fingerprint: string): number {
    let hash = hashes.get(fingerprint);
    if (hash === undefined) hashes.set(fingerprint, (hash = hashText(fingerprint)));
    return hash;
  }

  function forMs(why: { reason: RestReason; retryAfterMs: number | undefined }, count: number): number {
    if (why.reason === "rate_limited") return why.retryAfterMs ?? Math.min(MAX_LIMITED_MS, config.limitedMs * 2 ** Math.min(count, 20));
    if (why.reason === "forbidden") return Math.min(config.refusedMs, config.refusedMs * FORBIDDEN_SHARE * 2 ** Math.min(count, 20));
    return config.refusedMs;
  }

  /** Whether a 403 is believed to be about the key: one caller alone may have provoked it. */
  function isForbidden(field: string, account: string, nowMs: number): boolean {
    let witnesses = doubted.get(field);
    if (!witnesses) doubted.set(field, (witnesses = new Witnesses()));
    witnesses.note(account, nowMs);
    return witnesses.since(nowMs - DOUBT_MS).length >= ENOUGH;
  }

  return {
    pick(provider, model, tried, session, nowMs) {
      const { keys, id } = provider;
      const usable = (key: ProviderKey): boolean => !tried(key.fingerprint) && restOf(id, key.fingerprint, model, nowMs) === undefined;
      if (keys.length === 1) return usable(keys[0]!) ? keys[0] : undefined;
      if (session === undefined) {
        const turn = turns.get(id) ?? 0;
        turns.set(id, turn + 1);
        for (let i = 0; i < keys.length; i++) {
          const key = keys[(turn + i) % keys.length]!;
          if (usable(key)) return key;
        }
        return undefined;
      }
      let best: ProviderKey | undefined;
      let lowest = Infinity;
      for (const key of keys) {
        const drawn = lot(1, sessionLot(session, hashOf(key.fingerprint)));
        if (drawn >= lowest || !usable(key)) continue;
        best = key;
        lowest = drawn;
      }
      return best;
    },
    ready(provider, model, tried, nowMs) {
      let soonest: { inMs: number; reason: string } | undefined;
      for (const { fingerprint } of provider.keys) {
        if (tried(fingerprint)) continue;
        const rest = restOf(provider.id, fingerprint, model, nowMs);
        if (!rest) return NOW;
        const inMs = rest.untilMs - nowMs;
        if (!soonest || inMs < soonest.inMs) soonest = { inMs, reason: rest.reason };
      }
      return soonest;
    },
    worked(providerId, key, model, nowMs) {
      if (doubted.size > 0) doubted.delete(fieldOf(providerId, key.fingerprint, ""));
      if (rests.size === 0) return;
      for (const field of [fieldOf(providerId, key.fingerprint, ""), fieldOf(providerId, key.fingerprint, model)]) {
        // One that still holds stays: a call that was under way when it began says nothing about it.
        if ((rests.get(field)?.untilMs ?? Infinity) <= nowMs) rests.delete(field);
      }
    },
    rest(providerId, key, model, why, nowMs) {
      const field = fieldOf(providerId, key.fingerprint, why.reason === "rate_limited" ? model : "");
      if (why.reason === "forbidden" && !isForbidden(field, why.account, nowMs)) return false;
      const before = rests.get(field);
      const count = before?.count ?? 0;
      const ms = forMs(why, count);
      // Several calls that were under way together are one reason to rest, not many.
      if (ms <= 0 || (before && before.untilMs > nowMs && before.untilMs >= nowMs + ms)) return false;
      const fresh = !before || before.untilMs <= nowMs;
      rests.set(field, { untilMs: nowMs + ms, count: fresh ? count + 1 : count, reason: why.reason });
      shared.put(field, { forMs: ms, count: count + 1, reason: why.reason });
      return fresh;
    },
    learn(field, fact, nowMs) {
      rests.set(field, { untilMs: nowMs + fact.forMs, count: fact.count, reason: fact.reason });
    },
    clear(providerId) {
      const fields = [...rests.keys()].filter((field) => field.startsWith(`key|${providerId}|`));
      for (const field of fields) rests.delete(field);
      for (const field of doubted.keys()) if (field.startsWith(`key|${providerId}|`)) doubted.delete(field);
      return fields;
    },
    resting(providerId, nowMs) {
      return [...rests].flatMap(([field, rest]) => {
        const [, id, fingerprint = "", ...model] = field.split("|");
        if (id !== providerId || rest.untilMs <= nowMs) return [];
        return [{ fingerprint, model: model.join("|") || null, reason: rest.reason, forMs: rest.untilMs - nowMs }];
      });
    },
  };
}
