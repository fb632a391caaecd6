import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { customer, operator, type Person } from "../test/support/people.ts";
import { startStack, type Product } from "../test/support/stack.ts";
import { used } from "./system.ts";

const PER_SECOND = 10;
const PEOPLE = 20;
const WARM = 20;
const MEASURED_EVERY_MS = 2_000;
/** Seldom, so that asking is no part of what is measured. */
const ASKED_EVERY_MS = 2_000;
const LONGEST_REST_MS = 900_000;

export interface RenderResult {
  tasks: number;
  /** From the request to the answer that the task is made: its credit is held and its workflow started. */
  acceptedP50Ms: number;
  acceptedP95Ms: number;
  acceptedMaxMs: number;
  /** From the last answer until every task was completed. */
  restMs: number;
  /** CPU milliseconds a task. */
  byPart: Record<string, number>;
  /** Resident memory of the worker: after a quarter of the time, after three quarters, and in the end. */
  workerMib: { early: number; late: number; end: number };
}

const BODY = { name: "A kettle", engine: "simulate", frame_start: 1, frame_end: 3, width: 64, height: 36 };

/** Ten tasks a second of three frames each, by twenty people, on a product of their own. Only on Linux. */
export async function benchRender(seconds: number): Promise<RenderResult> {
  const stack = await startStack({ env: { LOG_LEVEL: "warn" }, durable: true });
  try {
    const product = { ...stack.endpoints, stack } as Product;
    const admin = await operator(product);
    const limits = { render_tasks: 100_000, requests_per_minute: 1_000_000 };
    const people = await Promise.all(Array.from({ length: PEOPLE }, () => customer(product, admin, { credits: "1000000", limits })));
    for (let n = 0; n < WARM; n++) await people[n % PEOPLE]!.post("/api/tasks", BODY);
    await allCompleted(people, WARM);

    const memory: number[] = [];
    const watch = setInterval(() => memory.push(residentMib(stack.part("worker").pid!)), MEASURED_EVERY_MS);
    const before = used();
    const times: number[] = [];
    const asked: Promise<void>[] = [];
    const started = performance.now();
    for (let n = 0; n < seconds * PER_SECOND; n++) {
      const due = started + (n * 1_000) / PER_SECOND - performance.now();
      if (due > 1) await delay(due);
      asked.push(make(people[n % PEOPLE]!, times));
    }
    await Promise.all(asked);
    const answered = performance.now();
    await allCompleted(people, WARM + asked.length);
    const restMs = performance.now() - answered;
    const after = used();
    clearInterval(watch);
    times.sort((a, b) => a - b);
    const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
    const then = (share: number) => memory[Math.floor((memory.length - 1) * share)] ?? 0;
    return {
      tasks: times.length,
      acceptedP50Ms: at(0.5),
      acceptedP95Ms: at(0.95),
      acceptedMaxMs: at(1),
      restMs,
      byPart: Object.fromEntries(Object.keys(after).map((name) => [name, ((after[name]! - before[name]!) * 1_000) / times.length])),
      workerMib: { early: then(0.25), late: then(0.75), end: residentMib(stack.part("worker").pid!) },
    };
  } finally {
    await stack.destroy();
  }
}

async function make(person: Person, times: number[]): Promise<void> {
  const begun = performance.now();
  await person.post("/api/tasks", BODY);
  times.push(performance.now() - begun);
}

async function allCompleted(people: readonly Person[], wanted: number): Promise<void> {
  const completed = async () => {
    const totals = await Promise.all(people.map((person) => person.get<{ total: number }>("/api/tasks?page_size=1&status=completed")));
    return totals.reduce((sum, { total }) => sum + total, 0);
  };
  for (const until = Date.now() + LONGEST_REST_MS; (await completed()) < wanted; await delay(ASKED_EVERY_MS))
    if (Date.now() > until) throw new Error(`${await completed()} of ${wanted} tasks are completed`);
}

const residentMib = (pid: number): number => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]) / 1_024;
