import { fork, type ChildProcess } from "node:child_process";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { startRelay } from "../test/integration/gateway/harness.ts";
import { createLogger } from "../src/platform/logger.ts";
import { migrate } from "../src/platform/migrations.ts";
import { projectRoot } from "../src/platform/root.ts";
import { passThrough } from "./passthrough.ts";

/**
 * CPU per call of the relay with everything on (API key, limits in Redis, hold and usage in Postgres, metering), beside a bare Express
 * pass-through. Each server, the upstream and the load run in processes of their own; the two servers take turns, medians of 5 rounds.
 *
 *   node dist/bench/relay.js            needs BENCH_DATABASE_URL (a database of its own) and BENCH_REDIS_URL
 */
const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 5);
const CALLS = { whole: 3_000, stream: 1_000 };
const PARALLEL = Number(process.env["BENCH_PARALLEL"] ?? 32);
const CHUNKS = 50;

const chunk = (delta: object, finish: string | null): string =>
  `data: ${JSON.stringify({ id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1, model: "m", system_fingerprint: "fp_1", choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }], usage: null })}\n\n`;
const WHOLE = JSON.stringify({
  id: "chatcmpl-bench",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "word ".repeat(CHUNKS) }, finish_reason: "stop" }],
  usage: { prompt_tokens: 30, completion_tokens: CHUNKS, total_tokens: 30 + CHUNKS },
});
const USAGE = `data: ${JSON.stringify({ id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1, model: "m", choices: [], usage: { prompt_tokens: 30, completion_tokens: CHUNKS, total_tokens: 30 + CHUNKS } })}\n\n`;

/** A provider that answers at once, or streams one chunk per millisecond. */
function upstreamServer(): http.Server {
  return http.createServer((req, res) => {
    let body = "";
    req.on("data", (data: Buffer) => (body += data.toString()));
    req.on("end", () => {
      if (!body.includes('"stream":true')) {
        res.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(WHOLE) });
        res.end(WHOLE);
        return;
      }
      res.writeHead(200, { "content-type": "text/event-stream" });
      let sent = 0;
      const next = (): void => {
        if (sent < CHUNKS) {
          res.write(chunk({ content: ` word${sent}` }, null));
          sent += 1;
          setTimeout(next, 1);
        } else res.end(`${chunk({}, "stop")}${USAGE}data: [DONE]\n\n`);
      };
      next();
    });
  });
}

interface Order {
  kind: "cpu" | "load" | "stop";
  url?: string;
  key?: string;
  model?: string;
  stream?: boolean;
  calls?: number;
}

const listen = (server: http.Server): Promise<string> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)));

/** Sends calls over kept-alive connections; resolves with how many did not end as they should, and the median latency. */
async function load(order: Order): Promise<{ bad: number; p50: number }> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: PARALLEL });
  const url = new URL(`${order.url}/v1/chat/completions`);
  const times: number[] = [];
  let left = order.calls!;
  let bad = 0;
  const one = (n: number): Promise<void> =>
    new Promise((resolve) => {
      const began = performance.now();
      // Every prompt is another one, so that no cache of counts helps.
      const body = JSON.stringify({
        model: order.model,
        ...(order.stream ? { stream: true } : {}),
        max_tokens: 200,
        messages: [
          { role: "system", content: "You are a helpful assistant who answers in short sentences." },
          {
            role: "user",
            content: `Question ${n} ${Math.random()}: how did the tollkeeper at the bridge count the coins that travellers paid him in the evening?`,
          },
        ],
      });
      const req = http.request(
        url,
        {
          method: "POST",
          agent,
          headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body), authorization: `Bearer ${order.key}` },
        },
        (res) => {
          let tail = "";
          res.on("data", (data: Buffer) => (tail = (tail + data.toString("latin1")).slice(-2_000)));
          res.on("end", () => {
            if (res.statusCode !== 200 || !tail.includes(order.stream ? "[DONE]" : "completion_tokens")) {
              if (bad === 0) process.stderr.write(`${res.statusCode} ${tail}\n`);
              bad += 1;
            }
            times.push(performance.now() - began);
            resolve();
          });
        },
      );
      req.on("error", () => {
        bad += 1;
        resolve();
      });
      req.end(body);
    });
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      while (left > 0) await one(left--);
    }),
  );
  agent.destroy();
  return { bad, p50: median(times) };
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** A server or the load generator, told over IPC what to do. */
async function child(role: string): Promise<void> {
  let ready: Record<string, string> = {};
  if (role === "upstream") ready = { url: await listen(upstreamServer()) };
  else if (role === "passthrough") ready = { url: await listen(passThrough(process.argv[3]!)), key: "none", model: "m" };
  else if (role === "relay") {
    await migrate({
      url: process.env["BENCH_DATABASE_URL"]!,
      folder: path.join(projectRoot, "migrations"),
      log: createLogger({ level: "warn", name: "bench" }),
    });
    const relay = await startRelay(
      { databaseUrl: process.env["BENCH_DATABASE_URL"]!, redisUrl: process.env["BENCH_REDIS_URL"]! },
      { LOG_LEVEL: "warn" },
    );
    const customer = await relay.customer({ credits: "1000000000" });
    ready = { url: relay.url, key: customer.key, model: await relay.model([process.argv[3]!]) };
  }
  process.on("message", (order: Order) => {
    if (order.kind === "cpu") process.send!(process.cpuUsage());
    else if (order.kind === "stop") process.exit(0);
    else void load(order).then((result) => process.send!(result));
  });
  process.send!(ready);
}

function ask<T>(who: ChildProcess, order?: Order): Promise<T> {
  return new Promise((resolve) => {
    who.once("message", (answer) => resolve(answer as T));
    if (order) who.send(order);
  });
}

async function main(): Promise<void> {
  const start = async (role: string, ...args: string[]) => {
    const who = fork(fileURLToPath(import.meta.url), [role, ...args], {
      execArgv: role === process.env["BENCH_PROFILE"] ? ["--cpu-prof", "--cpu-prof-dir=.data/profiles"] : [],
    });
    who.once("exit", (code) => {
      if (code) process.exit(1);
    });
    return { who, at: await ask<{ url: string; key: string; model: string }>(who) };
  };
  const upstream = await start("upstream");
  const bare = await start("passthrough", upstream.at.url);
  const relay = await start("relay", upstream.at.url);
  const client = await start("client");

  async function measure(server: typeof bare, stream: boolean, calls: number): Promise<{ cpu: number; p50: number }> {
    const before = await ask<NodeJS.CpuUsage>(server.who, { kind: "cpu" });
    const { bad, p50 } = await ask<{ bad: number; p50: number }>(client.who, { kind: "load", ...server.at, stream, calls });
    const after = await ask<NodeJS.CpuUsage>(server.who, { kind: "cpu" });
    if (bad > 0) throw new Error(`${bad} of ${calls} calls failed`);
    return { cpu: (after.user - before.user + after.system - before.system) / calls, p50 };
  }

  for (const stream of [false, true]) {
    const calls = stream ? CALLS.stream : CALLS.whole;
    for (const server of [bare, relay]) await measure(server, stream, calls);
    const seen: { bare: Awaited<ReturnType<typeof measure>>; relay: Awaited<ReturnType<typeof measure>> }[] = [];
    for (let round = 0; round < ROUNDS; round++)
      seen.push({ bare: await measure(bare, stream, calls), relay: await measure(relay, stream, calls) });
    const of = (name: "bare" | "relay", what: "cpu" | "p50") => median(seen.map((round) => round[name][what]));
    console.log(
      `${stream ? `stream of ${CHUNKS} chunks` : "whole answer"}: relay ${of("relay", "cpu").toFixed(0)} µs CPU a call, bare Express ${of("bare", "cpu").toFixed(0)} µs, ` +
        `${median(seen.map((round) => round.relay.cpu / round.bare.cpu)).toFixed(2)}×; p50 ${of("relay", "p50").toFixed(1)} ms and ${of("bare", "p50").toFixed(1)} ms at ${PARALLEL} parallel`,
    );
  }
  for (const { who } of [client, relay, bare, upstream]) who.send({ kind: "stop" });
}

if (process.argv[2]) await child(process.argv[2]);
else await main();
