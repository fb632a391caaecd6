import type { Candidate } from "../providers/index.ts";
import type { Circuits } from "./circuits.ts";
import { hashText, lot, sessionLot } from "./draw.ts";
import type { Keys, Tried } from "./keys.ts";
import { RULES } from "./rules.ts";
import type { Ask, Choice } from "./types.ts";

/** A request goes to no more keys and providers than this, whatever is configured. */
const MOST_ATTEMPTS = 16;

/** Whether a provider has had its turn: in this round, or for this call where a repeat would be no better. */
function spent(candidate: Candidate, { tries, roundFrom }: Pick<Ask, "tries" | "roundFrom">): boolean {
  for (let i = 0; i < tries.length; i++) {
    const attempt = tries[i]!;
    if (attempt.candidate !== candidate || attempt.ofKey) continue;
    if (i >= roundFrom || RULES[attempt.errorCode ?? ""]?.again !== true) return true;
  }
  return false;
}

const never = (): boolean => false;

/** Whether a key has had its turn: in this round, or for this call when it was refused. */
function keyTried(candidate: Candidate, { tries, roundFrom }: Pick<Ask, "tries" | "roundFrom">): Tried {
  if (tries.length === 0) return never;
  return (fingerprint) =>
    tries.some(
      (attempt, i) =>
        attempt.candidate.provider.id === candidate.provider.id &&
        attempt.keyFingerprint === fingerprint &&
        (i >= roundFrom || attempt.errorCode === "upstream_refused"),
    );
}

/** The same in every copy, and for every model that a provider serves: a session keeps its provider when it changes the model. */
function hashes(): (candidate: Candidate) => number {
  const known = new WeakMap<Candidate, number>();
  return (candidate) => {
    let hash = known.get(candidate);
    if (hash === undefined) known.set(candidate, (hash = hashText(candidate.provider.id)));
    return hash;
  };
}

/** The best of a call's providers now, or when there will be one. */
export interface Prospect {
  best: Candidate | undefined;
  /** Milliseconds until one may be ready; undefined when none of them will be for this call. */
  inMs: number | undefined;
  /** Rate limits alone are in the way. */
  limited: boolean;
  /** It is being asked whether one may be tried. */
  asking: boolean;
}

export interface Chooser {
  look(ask: Ask, nowMs: number): Prospect;
  choose(ask: Ask, nowMs: number): Choice;
}

/** Chooses the next provider and key: priorities strictly, equals by lot, those that are shut or rest left out. */
export function createChooser(deps: { circuits: Circuits; keys: Keys; random: () => number }): Chooser {
  const { circuits, keys, random } = deps;
  const hashOf = hashes();

  function look(ask: Ask, nowMs: number): Prospect {
    const { candidates, tries, session, roundFrom } = ask;
    const found: Prospect = { best: undefined, inMs: undefined, limited: true, asking: false };
    let lowest = Infinity;
    if (tries.length >= MOST_ATTEMPTS) return found;
    const last = tries.length > roundFrom ? tries.at(-1) : undefined;
    for (const candidate of candidates) {
      if (found.best && candidate.priority < found.best.priority) break;
      if (tries.length > 0 && spent(candidate, ask)) continue;
      const passage = circuits.passage(circuits.of(candidate), nowMs);
      if (passage.kind === "shut" || passage.kind === "asking") {
        found.limited = false;
        if (passage.kind === "asking") found.asking = true;
        else found.inMs = Math.min(found.inMs ?? Infinity, passage.forMs);
        continue;
      }
      const ready = keys.ready(candidate.provider, candidate.upstreamModel, keyTried(candidate, ask), nowMs);
      if (!ready) continue;
      if (ready.inMs > 0) {
        if (ready.reason !== "rate_limited") found.limited = false;
        found.inMs = Math.min(found.inMs ?? Infinity, ready.inMs);
        continue;
      }
      // Another key of the provider that refused one goes before its equals.
      const u = session === undefined ? 1 - random() : sessionLot(session, hashOf(candidate));
      const drawn = last?.candidate === candidate ? -1 : lot(candidate.weight, u);
      if (drawn >= lowest) continue;
      found.best = candidate;
      lowest = drawn;
    }
    return found;
  }

  return {
    look,
    choose(ask, nowMs) {
      const { best, inMs, limited, asking } = look(ask, nowMs);
      if (!best) return { none: { inMs, limited: limited && inMs !== undefined, asking } };
      const key = keys.pick(best.provider, best.upstreamModel, keyTried(best, ask), ask.keySession ?? ask.session, nowMs)!;
      const guards = circuits.of(best);
      const trial = circuits.passage(guards, nowMs).kind === "trial";
      if (trial) circuits.begin(guards);
      return { route: { candidate: best, key, trial } };
    },
  };
}
