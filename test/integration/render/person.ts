import type { Ledger } from "../../../src/ledger/index.ts";
import { formatCredits, parseCredits } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import type { Pool } from "../../../src/platform/postgres.ts";
import { waitFor } from "../../support/stack.ts";
import { request, type Answer, type Frame, type Page, type Task } from "./answers.ts";

export interface Person {
  id: string;
  walletId: bigint;
  call<T = unknown>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  /** Makes a task of these frames; throws when it is refused. */
  task(more?: Record<string, unknown>, headers?: Record<string, string>): Promise<Task>;
  read(task: { id: string }): Promise<Task>;
  frames(task: { id: string }): Promise<Frame[]>;
  /** Waits until the task has one of these states. */
  until(task: { id: string }, ...states: string[]): Promise<Task>;
  credit(amount: string): Promise<void>;
  balance(): Promise<{ available: string; held: string; total: string }>;
}

/** Somebody who calls the rig's api. */
export function personOf(of: { id: string; walletId: bigint; call: Person["call"]; ledger: Ledger; pool: Pool }): Person {
  const { id, walletId, call, ledger, pool } = of;
  const person: Person = {
    id,
    walletId,
    call,
    async task(more = {}, headers) {
      const answer = await call<Task>("POST", "/api/tasks", request(more), headers);
      if (answer.status !== 201) throw new Error(`task: ${answer.status} ${answer.text}`);
      return answer.data;
    },
    read: async (task) => (await call<Task>("GET", `/api/tasks/${task.id}`)).data,
    frames: async (task) => (await call<Page<Frame>>("GET", `/api/tasks/${task.id}/frames?page_size=100`)).data.items,
    async until(task, ...states) {
      let seen: Task | undefined;
      await waitFor(
        async () => {
          seen = await person.read(task);
          return states.includes(seen.status);
        },
        { timeoutMs: 40_000, message: () => `the task to be ${states.join(" or ")}, it is ${JSON.stringify(seen)}` },
      );
      return seen!;
    },
    async credit(amount) {
      await ledger.credit(pool, {
        id: `test:${uuidv7()}`,
        walletId,
        amount: parseCredits(amount)!,
        from: "adjustments",
        source: "purchase",
        type: "PURCHASE",
        description: "test",
      });
    },
    async balance() {
      const { available, held, total } = await ledger.balance(walletId);
      return { available: formatCredits(available), held: formatCredits(held), total: formatCredits(total) };
    },
  };
  return person;
}
