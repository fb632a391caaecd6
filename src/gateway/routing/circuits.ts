import type { Logger } from "../../platform/logger.ts";
import type { Candidate } from "../providers/index.ts";
import { Circuit, type CircuitConfig, type CircuitState, type Evidence } from "./circuit.ts";
import { LEASE_MS, type Fact, type Shared } from "./shared.ts";

/** A circuit with its name among the copies and its right to a trial. */
export interface Guard {
  readonly field: string;
  readonly circuit: Circuit;
  /** Until when this copy may begin the one trial; 0 when it may not. */
  trialUntilMs: number;
  /** The trial is under way here. */
  trying: boolean;
  /** When Redis may be asked for the right again; Infinity while it is being asked. */
  askMs: number;
}

/** The two circuits a call passes. */
export interface Guards {
  provider: Guard;
  model: Guard;
}

/** - `ready`: a call may go; `trial`: this call would be the trial; `asking`: soon; `shut`: not before `forMs` */
export type Passage = { kind: "ready" } | { kind: "trial" } | { kind: "asking" } | { kind: "shut"; forMs: number };

const READY: Passage = { kind: "ready" };
const TRIAL: Passage = { kind: "trial" };
const ASKING: Passage = { kind: "asking" };
/** When another copy has the trial: it will soon know. */
const ELSEWHERE_MS = 500;

const providerField = (providerId: string): string => `circuit|${providerId}|`;
const modelField = (providerId: string, model: string): string => `circuit|${providerId}|${model}`;

export interface Circuits {
  of(candidate: Candidate): Guards;
  /** Whether a call may go there now. Asks for the right to a trial when one is due. */
  passage(guards: Guards, nowMs: number): Passage;
  /** The call that goes there now is the trial. */
  begin(guards: Guards): void;
  /** The trial had an answer, whatever it says: what was tried is closed. */
  answered(guards: Guards): void;
  passed(guards: Guards, account: string, nowMs: number): void;
  /** Counts a failure against one of the two. */
  failed(guards: Guards, which: keyof Guards, why: Evidence & { reason: string; trial: boolean }, nowMs: number): void;
  /** The trial was ended by us; the next call may try. */
  dropTrial(guards: Guards): void;
  learn(field: string, fact: Fact, nowMs: number): void;
  /** Closes those of a provider; their fields. */
  clear(providerId: string): string[];
  states(providerId: string, nowMs: number): CircuitView[];
}

export interface CircuitView {
  /** Null: the provider as a whole. */
  model: string | null;
  state: CircuitState;
  retryMs: number;
  calls: number;
  failures: number;
}

/** The circuits of all providers, and of each model there, in step with the other copies. */
export function createCircuits(deps: {
  config: CircuitConfig;
  shared: Pick<Shared, "put" | "lease" | "keep" | "release">;
  log: Logger;
  random: () => number;
}): Circuits {
  const { config, shared, log, random } = deps;
  const guards = new Map<string, Guard>();
  /** By object: the catalogue makes new candidates only when something changes. */
  const known = new WeakMap<Candidate, Guards>();

  function guard(field: string): Guard {
    let found = guards.get(field);
    if (!found) guards.set(field, (found = { field, circuit: new Circuit(config), trialUntilMs: 0, trying: false, askMs: 0 }));
    return found;
  }

  async function ask(one: Guard): Promise<void> {
    one.askMs = Infinity;
    const granted = await shared.lease(one.field);
    const nowMs = performance.now();
    one.askMs = nowMs + ELSEWHERE_MS;
    // Begun some time before it ends elsewhere.
    if (granted) one.trialUntilMs = nowMs + LEASE_MS / 2;
  }

  function passageOf(one: Guard, nowMs: number): Passage {
    const { circuit } = one;
    if (circuit.retryMs === 0) return READY;
    if (nowMs < circuit.retryMs) return { kind: "shut", forMs: circuit.retryMs - nowMs };
    if (one.trying) return { kind: "shut", forMs: ELSEWHERE_MS };
    if (nowMs < one.trialUntilMs) return TRIAL;
    if (one.askMs === Infinity) return ASKING;
    if (nowMs < one.askMs) return { kind: "shut", forMs: one.askMs - nowMs };
    void ask(one);
    return ASKING;
  }

  function endTrial(one: Guard): void {
    if (!one.trying) return;
    one.trying = false;
    one.trialUntilMs = 0;
    one.askMs = 0;
    shared.release(one.field);
  }

  function close(one: Guard): void {
    one.circuit.close();
    endTrial(one);
    shared.put(one.field, { forMs: 0, count: 0, reason: "" });
    log.info({ circuit: one.field }, "a provider answers again");
  }

  function open(one: Guard, reason: string, nowMs: number): void {
    const { circuit } = one;
    const forMs = circuit.coolDown(random);
    circuit.openFor(forMs, circuit.trips + 1, nowMs);
    endTrial(one);
    shared.put(one.field, { forMs, count: circuit.trips, reason });
    log.warn({ circuit: one.field, reason, for_ms: forMs, trips: circuit.trips }, "a provider fails and is left alone for a while");
  }

  return {
    of(candidate) {
      let found = known.get(candidate);
      if (!found) {
        const { provider, upstreamModel } = candidate;
        found = { provider: guard(providerField(provider.id)), model: guard(modelField(provider.id, upstreamModel)) };
        known.set(candidate, found);
      }
      return found;
    },
    passage({ provider, model }, nowMs) {
      if (provider.circuit.retryMs === 0 && model.circuit.retryMs === 0) return READY;
      const first = passageOf(provider, nowMs);
      if (first.kind === "shut" || first.kind === "asking") return first;
      const second = passageOf(model, nowMs);
      return second.kind === "ready" ? first : second;
    },
    begin({ provider, model }) {
      for (const one of [provider, model]) {
        if (one.circuit.retryMs === 0) continue;
        one.trying = true;
        shared.keep(one.field);
      }
    },
    answered({ provider, model }) {
      if (provider.trying) close(provider);
      if (model.trying) close(model);
    },
    passed({ provider, model }, account, nowMs) {
      provider.circuit.passed(nowMs, account);
      model.circuit.passed(nowMs, account);
    },
    failed(both, which, { reason, trial, ...evidence }, nowMs) {
      const one = both[which];
      const tooMany = one.circuit.failed(nowMs, evidence);
      // A trial that fails by its caller's own doing has shown nothing; the next call tries again.
      if ((trial && one.trying && !evidence.ownDoing) || tooMany) open(one, reason, nowMs);
      if (!trial) return;
      // When the model fails, the provider itself can be reached; when that cannot, nothing is known of the model.
      if (which === "model" && both.provider.trying) close(both.provider);
      endTrial(both.model);
    },
    dropTrial({ provider, model }) {
      endTrial(provider);
      endTrial(model);
    },
    learn(field, fact, nowMs) {
      const { circuit } = guard(field);
      if (fact.count === 0) circuit.close();
      else circuit.openFor(fact.forMs, fact.count, nowMs);
    },
    clear(providerId) {
      const own = [...guards.values()].filter(({ field }) => field.startsWith(providerField(providerId)));
      for (const one of own) {
        one.circuit.close();
        endTrial(one);
      }
      return own.map(({ field }) => field);
    },
    states(providerId, nowMs) {
      return [...guards.values()].flatMap(({ field, circuit }) => {
        if (!field.startsWith(providerField(providerId))) return [];
        const model = field.slice(providerField(providerId).length);
        return [{ model: model || null, state: circuit.state(nowMs), retryMs: circuit.retryMs, ...circuit.counts(nowMs) }];
      });
    },
  };
}
