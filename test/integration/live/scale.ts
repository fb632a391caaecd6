import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { uuidv7 } from "../../../src/platform/ids.ts";
import type { ClientsOrder, Report } from "./clients.process.ts";
import type { ServerOrder } from "./server.process.ts";

/** Two copies of live push and many clients, each in a process of its own. */
export interface Scale {
  /** Bytes of memory that one of so many sockets takes of its copy; each is of another person. */
  memory(sockets: number): Promise<{ bytes: number; heapBytes: number }>;
  /** How long events take to so many sockets of one copy: of as many people, or all of one. */
  fanOut(sockets: number, whose: "everybody" | "one"): Promise<Report>;
  /** 30 % lose their connection while events come, and come back at any copy. */
  cut(sockets: number): Promise<Report>;
  stop(): void;
}

const role = (name: string, args: string[] = [], execArgv: string[] = []): ChildProcess =>
  fork(fileURLToPath(new URL(`./${name}.process.js`, import.meta.url)), args, { execArgv });

async function ask<T>(who: ChildProcess, order?: ServerOrder | ClientsOrder): Promise<T> {
  const answer = once(who, "message", { signal: AbortSignal.timeout(120_000) });
  if (order) who.send(order);
  return (await answer)[0] as T;
}

export async function startScale(redisUrl: string): Promise<Scale> {
  const flags = ["--expose-gc", "--max-semi-space-size=64"];
  const servers = [role("server", [redisUrl], flags), role("server", [redisUrl], flags)] as const;
  const clients = role("clients");
  const [[one, two]] = await Promise.all([Promise.all(servers.map((server) => ask<{ url: string }>(server))), ask(clients)]);
  const [first, second] = servers;
  const people = (count: number): string[] => Array.from({ length: count }, () => uuidv7());
  const memoryOf = () => ask<{ rss: number; heapUsed: number; external: number }>(first, { kind: "memory" });

  return {
    async memory(sockets) {
      // What the first ones make is made once.
      await ask(clients, { kind: "open", urls: [one!.url], users: people(100), count: 100 });
      const before = await memoryOf();
      await ask(clients, { kind: "open", urls: [one!.url], users: people(sockets), count: sockets });
      const after = await memoryOf();
      await ask(clients, { kind: "forget" });
      const heap = after.heapUsed + after.external - before.heapUsed - before.external;
      return { bytes: (after.rss - before.rss) / sockets, heapBytes: heap / sockets };
    },
    async fanOut(sockets, whose) {
      const users = people(whose === "one" ? 1 : sockets);
      await ask(clients, { kind: "open", urls: [one!.url], users, count: sockets });
      const events = 20;
      await ask(second, { kind: "tell", userId: whose === "one" ? users[0]! : null, events, everyMs: 250, from: 0 });
      const report = await ask<Report>(clients, { kind: "until", no: events - 1, withinMs: 10_000 });
      await ask(clients, { kind: "forget" });
      return report;
    },
    async cut(sockets) {
      const [user] = people(1);
      await ask(clients, { kind: "open", urls: [one!.url, two!.url], users: [user!], count: sockets });
      const events = 400;
      const told = ask(first, { kind: "tell", userId: user!, events, everyMs: 5, from: 0 });
      await ask(clients, { kind: "cut", share: 0.3 });
      await told;
      const report = await ask<Report>(clients, { kind: "until", no: events - 1, withinMs: 20_000 });
      await ask(clients, { kind: "forget" });
      return report;
    },
    stop() {
      clients.kill();
      for (const server of servers) server.kill();
    },
  };
}
