import { createWorld, startLive } from "./rig.ts";

/** A copy of the api with live push in a process of its own: `server.process.js REDIS_URL`. What it is told comes as messages. */

export type ServerOrder =
  | { kind: "memory" }
  | { kind: "tell"; userId: string | null; events: number; everyMs: number; from: number }
  | { kind: "stop" };

const rig = await startLive(process.argv[2]!, createWorld());
const now = (): number => performance.timeOrigin + performance.now();

async function tell({ userId, events, everyMs, from }: Extract<ServerOrder, { kind: "tell" }>): Promise<void> {
  for (let no = from; no < from + events; no++) {
    rig.publish({ userId, type: "notice", data: { no, at: now(), message: "Something has happened" } });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

process.on("message", (order: ServerOrder) => {
  if (order.kind === "tell") return void tell(order).then(() => process.send!("told"));
  if (order.kind === "stop") return void rig.close().then(() => process.exit(0));
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  process.send!({ rss, heapUsed, external, connections: rig.live.connections });
});
process.send!({ url: rig.url });
