import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createActivityMetrics, createBus, createLinesSink, type Bus } from "../src/activity/index.ts";
import { createLogger } from "../src/platform/logger.ts";
import { createMetrics, type Metrics } from "../src/platform/metrics.ts";
import { migrate } from "../src/platform/migrations.ts";
import { projectRoot } from "../src/platform/root.ts";
import { createTracing, type Tracing } from "../src/platform/tracing/index.ts";
import { startRelay, type Relay } from "../test/integration/gateway/harness.ts";
import { answerAsDify, difyPrompt } from "./dify.ts";
import { startMonitor } from "../test/integration/monitor/rig.ts";
import { passThrough } from "./passthrough.ts";

/** What the processes of the relay's bench are told: see relay.ts. */
export interface Order {
  kind: "cpu" | "memory" | "load" | "hang" | "provision" | "stop";
  url?: string;
  key?: string;
  model?: string;
  stream?: boolean;
  calls?: number;
  parallel?: number;
  /** Calls begin at this pace instead of as soon as the last has ended. */
  perSecond?: number;
  /** The load is calls of a Dify app. */
  dify?: boolean;
  /** Load is spread over these; of "provision" how many to make. */
  keys?: string[] | number;
  models?: string[] | number;
  /** Keys and models one after the other instead of at random. */
  inTurn?: boolean;
}

/** How a relay of the bench is watched: not at all unless told. */
export interface Watching {
  /** With the process's own figures, and read every second. */
  metrics?: boolean;
  /** Where traces of this share of the calls go. */
  collector?: string;
  ratio?: number;
  /** With the activity log, or that and the live monitor. */
  events?: "none" | "log" | "monitor";
}

export interface LoadResult {
  bad: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
}

export const CHUNKS = 50;

const chunk = (delta: object, finish: string | null): string =>
  `data: ${JSON.stringify({ id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1, model: "m", system_fingerprint: "fp_1", choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }], usage: null })}\n\n`;
const USAGE = { prompt_tokens: 30, completion_tokens: CHUNKS, total_tokens: 30 + CHUNKS };
const WHOLE = JSON.stringify({
  id: "chatcmpl-bench",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "word ".repeat(CHUNKS) }, finish_reason: "stop" }],
  usage: USAGE,
});
const LAST = `${chunk({}, "stop")}data: ${JSON.stringify({ id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1, model: "m", choices: [], usage: USAGE })}\n\ndata: [DONE]\n\n`;

/** A provider that answers at once, streams one chunk a millisecond, or (asked to hang) says one word and falls silent. */
function upstreamServer(): http.Server {
  return http.createServer((req, res) => {
    let body = "";
    req.on("data", (data: Buffer) => (body += data.toString()));
    req.on("end", () => {
      if (req.url?.endsWith("/chat-messages")) return answerAsDify(res, body, CHUNKS);
      if (!body.includes('"stream":true')) {
        res.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(WHOLE) });
        res.end(WHOLE);
        return;
      }
      res.writeHead(200, { "content-type": "text/event-stream" });
      if (body.includes("[[hang]]")) {
        res.write(chunk({ content: "word" }, null));
        return;
      }
      let sent = 0;
      const next = (): void => {
        if (sent < CHUNKS) {
          res.write(chunk({ content: ` word${sent}` }, null));
          sent += 1;
          setTimeout(next, 1);
        } else res.end(LAST);
      };
      next();
    });
  });
}

const listen = (server: http.Server): Promise<string> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)));

const one = (order: Order, list: string[] | number | undefined, n: number): string | undefined =>
  Array.isArray(list) ? list[order.inTurn ? n % list.length : Math.floor(Math.random() * list.length)] : undefined;

/** Every prompt is another one, so that no cache of counts helps. */
const promptOf = (order: Order, n: number): string =>
  JSON.stringify({
    model: one(order, order.models, n) ?? order.model,
    ...(order.stream ? { stream: true } : {}),
    max_tokens: 200,
    messages: [
      { role: "system", content: "You are a helpful assistant who answers in short sentences." },
      {
        role: "user",
        content: `${order.kind === "hang" ? "[[hang]] " : ""}Question ${n} ${Math.random()}: how did the tollkeeper at the bridge count the coins that travellers paid him in the evening?`,
      },
    ],
  });

/** The end of an answer, by which it is known to be whole. */
const endOf = (order: Order): string => (order.stream ? (order.dify ? "message_end" : "[DONE]") : "completion_tokens");

function send(order: Order, n: number, agent: http.Agent, answered: (res: http.IncomingMessage) => void, broken: () => void): void {
  const body = order.dify ? difyPrompt(n, order.stream === true) : promptOf(order, n);
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    authorization: `Bearer ${one(order, order.keys, n) ?? order.key}`,
  };
  const req = http.request(
    new URL(order.url + (order.dify ? "/dify/v1/chat-messages" : "/v1/chat/completions")),
    { method: "POST", agent, headers },
    answered,
  );
  req.on("error", broken);
  req.end(body);
}

/** Sends calls over kept-alive connections; tells how many did not end as they should, and the median time. */
async function load(order: Order): Promise<LoadResult> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: order.perSecond === undefined ? order.parallel! : Infinity });
  const times: number[] = [];
  let left = order.calls!;
  let bad = 0;
  const once = (n: number): Promise<void> =>
    new Promise((resolve) => {
      const began = performance.now();
      const fail = (why: string): void => {
        if (bad === 0) process.stderr.write(`${why}\n`);
        bad += 1;
        resolve();
      };
      send(
        order,
        n,
        agent,
        (res) => {
          let tail = "";
          res.on("data", (data: Buffer) => (tail = (tail + data.toString("latin1")).slice(-2_000)));
          res.on("end", () => {
            times.push(performance.now() - began);
            if (res.statusCode === 200 && tail.includes(endOf(order))) resolve();
            else fail(`${res.statusCode} ${tail}`);
          });
        },
        () => fail("a connection broke"),
      );
    });
  const worker = async (): Promise<void> => {
    while (left > 0) await once(left--);
  };
  const { perSecond } = order;
  if (perSecond === undefined) await Promise.all(Array.from({ length: order.parallel! }, worker));
  else {
    const began = performance.now();
    const running: Promise<void>[] = [];
    for (let n = 0; n < order.calls!; n++) {
      await delay(Math.max(0, began + (n * 1_000) / perSecond - performance.now()));
      running.push(once(n));
    }
    await Promise.all(running);
  }
  agent.destroy();
  return { bad, p50: median(times), p99: [...times].sort((a, b) => a - b)[Math.floor(times.length * 0.99)]! };
}

/** Opens streams that stay silent after their first word; resolves when each has heard it. */
async function hang(order: Order): Promise<LoadResult> {
  const agent = new http.Agent({ maxSockets: Infinity });
  let bad = 0;
  for (let done = 0; done < order.calls!; done += 50) {
    const first = (n: number): Promise<void> =>
      new Promise((resolve) =>
        send(
          order,
          n,
          agent,
          (res) => {
            if (res.statusCode !== 200) bad += 1;
            res.once("data", () => resolve());
            res.on("error", () => undefined);
          },
          () => resolve(),
        ),
      );
    await Promise.all(Array.from({ length: Math.min(50, order.calls! - done) }, (_, i) => first(done + i)));
  }
  return { bad, p50: 0, p99: 0 };
}

export const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

function memory(): number {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  return process.memoryUsage().rss;
}

let relay: Relay | undefined;

/** Makes customers of one key each, and models, for a load that is spread over many. */
async function provision(order: Order, upstream: string): Promise<{ keys: string[]; models: string[] }> {
  const keys: string[] = [];
  const models: string[] = [];
  while (keys.length < Number(order.keys)) {
    const made = await Promise.all(Array.from({ length: 20 }, () => relay!.customer({ credits: "1000000" })));
    keys.push(...made.map(({ key }) => key));
  }
  while (models.length < Number(order.models)) models.push(await relay!.model([upstream]));
  return { keys, models };
}

/** Takes whatever is sent. */
const collectorServer = (): http.Server => http.createServer((req, res) => void req.resume().on("end", () => res.end("{}")));

/** The relay's metrics and tracing as the bench wants them. */
async function watched({ metrics: standard = false, collector, ratio = 0 }: Watching): Promise<{ metrics: Metrics; tracing?: Tracing }> {
  const metrics = createMetrics({ standard });
  if (standard) setInterval(() => void metrics.text(), 1_000).unref();
  const tracing = await createTracing({ endpoint: collector, service: "bench", release: "0", sampler: "traceidratio", ratio });
  return { metrics, ...(tracing ? { tracing } : {}) };
}

/** The events of the relay as the bench wants them, and where the live monitor can be listened to. */
async function told({ events = "none" }: Watching, redisUrl: string): Promise<{ events: Bus; monitor: string }> {
  if (events === "none") return { events: createBus(), monitor: "" };
  const rig = events === "monitor" ? await startMonitor(redisUrl) : undefined;
  const bus = rig?.events ?? createBus();
  const log = createLogger({ level: "warn", name: "bench" });
  const dir = await mkdtemp(path.join(tmpdir(), "bench-activity-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  const files = { maxFileBytes: 2 ** 26, maxOpen: 128, keepMs: 86_400_000, maxBytes: 2 ** 40 };
  const metrics = createActivityMetrics(createMetrics());
  bus.addSink(createLinesSink({ dir, name: "bench", limit: 10_000, everyMs: 100, ...files, metrics, log }));
  return { events: bus, monitor: rig?.url ?? "" };
}

async function start(
  role: string,
  upstream: string,
  places: { databaseUrl: string; redisUrl: string },
  watching: Watching,
): Promise<Record<string, string>> {
  if (role === "collector") return { url: await listen(collectorServer()) };
  if (role === "upstream") return { url: await listen(upstreamServer()) };
  if (role === "passthrough") return { url: await listen(passThrough(upstream)), key: "none", model: "m" };
  if (role === "client") return {};
  await migrate({
    url: places.databaseUrl,
    folder: path.join(projectRoot, "migrations"),
    log: createLogger({ level: "warn", name: "bench" }),
  });
  const { events, monitor } = await told(watching, places.redisUrl);
  relay = await startRelay(places, { LOG_LEVEL: "warn", STREAM_HEARTBEAT: "60s" }, { ...(await watched(watching)), events });
  const customer = await relay.customer({ credits: "1000000000" });
  const dify = await relay.model([upstream], { apiFormat: "dify" });
  const asker = await relay.customer({ credits: "1000000000", models: [dify] });
  return { url: relay.url, key: customer.key, model: await relay.model([upstream]), difyKey: asker.key, monitor };
}

if (process.send && process.argv[2]) {
  const [, , role, upstream = "", databaseUrl = "", redisUrl = "", watching = "{}"] = process.argv;
  process.on("message", (order: Order) => {
    if (order.kind === "cpu") process.send!(process.cpuUsage());
    else if (order.kind === "memory") process.send!(memory());
    else if (order.kind === "stop") process.exit(0);
    else if (order.kind === "provision") void provision(order, upstream).then((made) => process.send!(made));
    else void (order.kind === "hang" ? hang(order) : load(order)).then((result) => process.send!(result));
  });
  process.send(await start(role!, upstream, { databaseUrl, redisUrl }, JSON.parse(watching) as Watching));
}
