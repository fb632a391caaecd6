import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";

/** Many clients in a process of their own. They keep what a client keeps: the id of the last message, and go on from it. */

export type ClientsOrder =
  | { kind: "open"; urls: string[]; users: string[]; count: number }
  /** This share of them, chosen by chance, loses its connection and comes back after a moment, at any copy. */
  | { kind: "cut"; share: number }
  /** Waits until everybody has this event, for so long at most. */
  | { kind: "until"; no: number; withinMs: number }
  | { kind: "forget" };

export interface Report {
  clients: number;
  /** Clients that have everything so far, each once and in order. */
  whole: number;
  cut: number;
  gaps: number;
  /** Milliseconds from being told in the other process to being read here, of those that were not read late after a cut. */
  p50: number;
  p99: number;
  most: number;
}

interface Client {
  user: string;
  last: string | undefined;
  next: number;
  wrong: number;
  away: boolean;
  ws?: WebSocket;
}

const clients: Client[] = [];
let urls: string[] = [];
let lags: number[] = [];
let cuts = 0;
let gaps = 0;
const now = (): number => performance.timeOrigin + performance.now();

function hear(client: Client, text: string): void {
  const { type, id, data } = JSON.parse(text) as { type: string; id: string | null; data: { no: number; at: number } };
  if (id !== null) client.last = id;
  if (type === "gap") gaps += 1;
  if (type === "ready") client.away = false;
  if (type !== "notice") return;
  if (data.no !== client.next) client.wrong += 1;
  client.next = data.no + 1;
  if (!client.away) lags.push(now() - data.at);
}

async function open(client: Client): Promise<void> {
  const url = urls[Math.floor(Math.random() * urls.length)]!;
  const resume = client.last === undefined ? "" : `&last_event_id=${client.last}`;
  const ws = new WebSocket(`${url.replace("http", "ws")}/ws?token=${client.user}${resume}`, { perMessageDeflate: false });
  client.ws = ws;
  ws.on("message", (data) => hear(client, String(data)));
  await once(ws, "open");
}

async function cut(share: number): Promise<void> {
  const chosen = clients.filter(() => Math.random() < share);
  cuts += chosen.length;
  await Promise.all(
    chosen.map(async (client) => {
      await delay(Math.random() * 500);
      client.away = true;
      client.ws!.terminate();
      await delay(Math.random() * 500);
      await open(client);
    }),
  );
}

async function until(no: number, withinMs: number): Promise<void> {
  for (const end = now() + withinMs; now() < end && clients.some((client) => client.next <= no);) await delay(20);
}

function report(): Report {
  lags.sort((a, b) => a - b);
  const at = (share: number): number => lags[Math.min(lags.length - 1, Math.floor(lags.length * share))] ?? 0;
  const most = Math.max(...clients.map(({ next }) => next));
  const whole = clients.filter(({ next, wrong }) => next === most && wrong === 0).length;
  return { clients: clients.length, whole, cut: cuts, gaps, p50: at(0.5), p99: at(0.99), most: lags.at(-1) ?? 0 };
}

async function obey(order: ClientsOrder): Promise<unknown> {
  switch (order.kind) {
    case "open":
      urls = order.urls;
      for (let i = 0; i < order.count; i += 100) {
        const some = Array.from({ length: Math.min(100, order.count - i) }, (_, j): Client => {
          return { user: order.users[(i + j) % order.users.length]!, last: undefined, next: 0, wrong: 0, away: true };
        });
        clients.push(...some);
        await Promise.all(some.map(open));
      }
      while (clients.some(({ away }) => away)) await delay(20);
      return "open";
    case "cut":
      await cut(order.share);
      return "cut";
    case "until":
      await until(order.no, order.withinMs);
      return report();
    case "forget":
      for (const client of clients) client.ws!.terminate();
      clients.length = 0;
      lags = [];
      return "forgotten";
  }
}

process.on("message", (order: ClientsOrder) => void obey(order).then((answer) => process.send!(answer)));
process.send!("ready");
