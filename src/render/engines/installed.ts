import type { Logger } from "../../platform/logger.ts";
import { findProgram, type Sandbox } from "../process/index.ts";
import { EngineMissing, type EngineState } from "./engine.ts";

/** A program of this machine that engines or videos are made with. */
export interface Installed {
  state(): Promise<EngineState>;
  /** Its path and version. Throws {@link EngineMissing}. */
  here(): Promise<{ file: string; version: string }>;
}

/** What is needed to find a program. */
export interface InstalledDeps {
  /** As people call it. */
  name: string;
  /** A path, or a name on the PATH. */
  program: string;
  sandbox: Sandbox;
  log: Logger;
  /** Asks the program for its version; undefined when it does not say. */
  ask(file: string): Promise<string | undefined>;
}

type Found = { kind: "found"; file: string; version: string; notes: string[] } | { kind: "missing"; why: string };

/** Finds a program when it is first asked for, once; what is not there is looked for again the next time. */
export function createInstalled({ name, program, sandbox, log, ask }: InstalledDeps): Installed {
  let looking: Promise<Found> | undefined;

  async function look(): Promise<Found> {
    const file = await findProgram(program);
    if (!file) return { kind: "missing", why: `${name} is not installed` };
    try {
      const isolation = await sandbox.isolation();
      const version = await ask(file);
      if (version === undefined) return { kind: "missing", why: `${name} does not start` };
      const notes = isolation.kind === "full" ? [] : [`not kept apart from its machine: ${isolation.why}`];
      return { kind: "found", file, version, notes };
    } catch (error) {
      log.warn({ program, err: error }, "a renderer does not start");
      return { kind: "missing", why: error instanceof Error ? error.message : `${name} does not start` };
    }
  }

  async function found(): Promise<Found> {
    const answer = await (looking ??= look());
    if (answer.kind === "missing") looking = undefined;
    return answer;
  }

  return {
    async state() {
      const answer = await found();
      return answer.kind === "found" ? { kind: "ready", version: answer.version, notes: answer.notes } : answer;
    },
    async here() {
      const answer = await found();
      if (answer.kind === "missing") throw new EngineMissing(answer.why);
      return answer;
    },
  };
}
