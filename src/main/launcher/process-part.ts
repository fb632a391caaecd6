import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openLog, rotateLog, sizeOf, tail } from "./files.ts";
import type { Command, Part, PartName } from "./part.ts";
import { removeRecord, stopSignal, writeRecord } from "./records.ts";
import { seconds, whileSaying, type Reporter } from "./report.ts";

export interface ProcessPartSpec {
  name: PartName;
  /** Asked before every start. */
  command(): Command | Promise<Command>;
  /** True once the part answers. Asked again and again until then. */
  ready(): Promise<boolean>;
  /** What a person is told: where it is reached, or what is waited for. */
  address: string;
  readyTimeoutMs?: number;
  graceMs?: number;
  /** A start that fails with such words in its log is tried again until the time is over. */
  retryWhen?: RegExp;
}

const BACKOFF_MS = [500, 1_000, 2_000, 5_000, 10_000];
const HEALTHY_AFTER_MS = 60_000;

/**
 * A part that is a child process of this one, in a process group of its own, so that Ctrl-C in a terminal reaches only the
 * launcher, which then ends the parts in order. When it dies by itself it is started again, later each time.
 */
export function createProcessPart(spec: ProcessPartSpec, context: { dataDir: string; report: Reporter }): Part {
  const { report, dataDir } = context;
  const log = path.join(dataDir, "logs", `${spec.name}.log`);
  let child: ChildProcess | undefined;
  let wanted = false;
  let restart: NodeJS.Timeout | undefined;
  let failures = 0;
  let logOffset = 0;
  let starting: Promise<void> = Promise.resolve();
  rotateLog(log);

  async function launch(): Promise<ChildProcess> {
    const command = await spec.command();
    logOffset = sizeOf(log);
    const output = openLog(log);
    try {
      const { file, args, ...options } = command;
      const started = spawn(file, args, { ...options, detached: true, stdio: ["ignore", output, output] });
      await once(started, "spawn");
      writeRecord(dataDir, spec.name, started.pid!, file);
      child = started;
      started.once("exit", () => {
        if (child === started) child = undefined;
      });
      return started;
    } finally {
      closeSync(output);
    }
  }

  async function untilReady(started: ChildProcess, deadline: number): Promise<void> {
    while (!(await spec.ready().catch(() => false))) {
      if (!wanted) throw new Error(`${spec.name} was stopped while it started`);
      if (isGone(started)) throw new Error(`${spec.name} ended while it started (${exitText(started)})${logTail()}`);
      if (Date.now() > deadline) throw new Error(`${spec.name} does not answer at ${spec.address}${logTail()}`);
      await delay(50);
    }
    if (isGone(started)) throw new Error(`${spec.name} ended while it started (${exitText(started)})${logTail()}`);
  }

  function logTail(): string {
    const end = tail(log, 20, logOffset);
    return `${end ? `:\n${end}` : ""}\n(log: ${log})`;
  }

  async function launchUntilReady(): Promise<void> {
    const deadline = Date.now() + (spec.readyTimeoutMs ?? 60_000);
    for (;;) {
      const started = await launch();
      try {
        await untilReady(started, deadline);
        supervise(started);
        return;
      } catch (error) {
        await end(started, "SIGKILL", 0);
        const again = wanted && Date.now() < deadline && spec.retryWhen?.test(tail(log, 20, logOffset));
        if (!again) throw error;
        await delay(200);
      }
    }
  }

  function supervise(started: ChildProcess): void {
    const began = Date.now();
    const onExit = () => {
      if (!wanted) return;
      if (Date.now() - began > HEALTHY_AFTER_MS) failures = 0;
      startAgainLater(`ended by itself (${exitText(started)})`);
    };
    if (isGone(started)) onExit();
    else started.once("exit", onExit);
  }

  function startAgainLater(why: string): void {
    const wait = BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)]!;
    failures += 1;
    report.line(spec.name, `${why}; starting it again in ${seconds(wait)} (log: ${log})`);
    restart = setTimeout(() => {
      if (!wanted) return;
      starting = launchUntilReady();
      starting.then(
        () => report.line(spec.name, `is back: ${spec.address}`),
        (error: Error) => wanted && startAgainLater(error.message.split("\n")[0]!),
      );
    }, wait);
  }

  async function end(which: ChildProcess | undefined, signal: NodeJS.Signals, graceMs: number): Promise<void> {
    if (!which || isGone(which)) return;
    const gone = once(which, "exit");
    which.kill(signal);
    const insist = setTimeout(() => which.kill("SIGKILL"), graceMs);
    await gone;
    clearTimeout(insist);
  }

  async function down(signal: NodeJS.Signals): Promise<void> {
    wanted = false;
    clearTimeout(restart);
    await end(child, signal, spec.graceMs ?? 30_000);
    // A start that was under way notices, and ends what it may have begun meanwhile.
    await starting.catch(() => undefined);
    await end(child, signal, spec.graceMs ?? 30_000);
    removeRecord(dataDir, spec.name);
  }

  return {
    name: spec.name,
    own: true,
    get pid() {
      return child?.pid;
    },
    async start() {
      if (wanted && child) return;
      wanted = true;
      clearTimeout(restart);
      const began = performance.now();
      try {
        starting = launchUntilReady();
        await whileSaying(
          report,
          spec.name,
          () => `waiting for an answer at ${spec.address}`,
          () => starting,
        );
      } catch (error) {
        wanted = false;
        removeRecord(dataDir, spec.name);
        throw error;
      }
      report.line(spec.name, `ready in ${seconds(performance.now() - began)}: ${spec.address}`);
    },
    stop: () => down(stopSignal(spec.name)),
    kill: (signal = "SIGKILL") => down(signal),
  };
}

function isGone(process: ChildProcess): boolean {
  return process.exitCode !== null || process.signalCode !== null;
}

function exitText(process: ChildProcess): string {
  return process.signalCode ?? `exit code ${process.exitCode}`;
}
