import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { emptyDatabase, freshDatabase, freshNamespace, freshRedis, infra } from "../test/support/stack.ts";
import { cleanUp } from "../test/support/cleanup.ts";
import { startInfra } from "../test/support/infra.ts";
import { benchEvents } from "./events.ts";
import { benchHolds } from "./ledger.ts";
import { benchLatency } from "./latency.ts";
import { benchLive } from "./live.ts";
import { benchWatching } from "./observability.ts";
import { benchMonitor } from "./monitor.ts";
import { benchReads } from "./reads.ts";
import { benchRelay } from "./relay.ts";
import { benchRender } from "./render.ts";
import { benchScale } from "./scale.ts";
import { benchSettlement } from "./settlement.ts";
import { benchSystem } from "./system.ts";
import { benchWebhook } from "./webhook.ts";

const NAMES = {
  whole: "whole answer",
  stream: "stream of 50 chunks",
  "dify whole": "Dify, whole answer",
  "dify stream": "Dify, stream",
};

/**
 * `npm run bench`: what a relayed call costs beside a bare pass-through, holds and settlements per second, memory per idle stream.
 * Everything runs on this machine and shares its cores, on servers of its own. Not a test: figures depend on the machine.
 * `--only relay|latency|scale|system|webhook|reads|watching|events|live|render|ledger|settlement` runs one part, `--seconds` how long tasks are
 * rendered, `--profile FOLDER` leaves a CPU profile of the relay there.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: "string" }, profile: { type: "string" }, seconds: { type: "string" } } });
  const wanted = (name: string): boolean => values.only === undefined || values.only === name;
  console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}\n`);
  await startInfra();
  try {
    if (wanted("relay")) await relay(values.profile);
    if (wanted("latency")) await latency();
    if (wanted("scale")) await scale();
    if (wanted("system")) await system();
    if (wanted("webhook")) await webhook();
    if (wanted("reads")) await reads();
    if (wanted("watching")) await watching();
    if (wanted("events")) await events();
    if (wanted("live")) await live();
    if (wanted("render")) await render(Number(values.seconds ?? 300));
    if (wanted("ledger")) await ledger();
    if (wanted("settlement")) await settlement();
  } finally {
    await cleanUp();
  }
}

const places = async () => ({ databaseUrl: await emptyDatabase(), redisUrl: await freshRedis() });

async function latency(): Promise<void> {
  console.log("\nTime added to a whole answer at 50 calls a second");
  for (const { awake, addedP50Ms, addedP99Ms, floorP50Ms } of await benchLatency(await places())) {
    console.log(
      `  ${awake ? "cores kept awake" : "as the machine is"}: p50 ${addedP50Ms.toFixed(2)} ms, p99 ${addedP99Ms.toFixed(2)} ms; ` +
        `reaching Redis once and Postgres twice takes ${floorP50Ms.toFixed(2)} ms there`,
    );
  }
}

async function scale(): Promise<void> {
  console.log("\nCPU per call of the relay");
  for (const { keys, models, cpu } of await benchScale(await places()))
    console.log(`  ${keys.toLocaleString("en").padStart(6)} keys, ${String(models).padStart(3)} models: ${cpu.toFixed(0)} µs`);
}

async function system(): Promise<void> {
  console.log("\nCPU per call of everything, settlement included");
  const { byPart, total } = await benchSystem();
  const parts = Object.entries(byPart).map(([name, ms]) => `${name} ${ms.toFixed(3)}`);
  console.log(`  ${total.toFixed(3)} ms: ${parts.join(", ")}`);
}

async function render(seconds: number): Promise<void> {
  console.log(`\nRender tasks of three frames, ten a second for ${seconds} s`);
  const { tasks, acceptedP50Ms, acceptedP95Ms, acceptedMaxMs, restMs, byPart, workerMib } = await benchRender(seconds);
  const parts = Object.entries(byPart).map(([name, ms]) => `${name} ${ms.toFixed(1)}`);
  console.log(
    `  ${tasks} accepted: p50 ${acceptedP50Ms.toFixed(1)} ms, p95 ${acceptedP95Ms.toFixed(1)} ms, at most ${acceptedMaxMs.toFixed(0)} ms; all completed ` +
      `${(restMs / 1_000).toFixed(1)} s after the last\n  CPU ms per task: ${parts.join(", ")}\n  worker: ${workerMib.early.toFixed(0)} MiB after a quarter, ` +
      `${workerMib.late.toFixed(0)} MiB after three, ${workerMib.end.toFixed(0)} MiB in the end`,
  );
}

async function webhook(): Promise<void> {
  const { perSecond, byPart, total, p50Ms, p99Ms } = await benchWebhook();
  console.log(`\nDify's webhook at ${perSecond} events a second, each charged before its answer`);
  const parts = Object.entries(byPart).map(([name, ms]) => `${name} ${ms.toFixed(3)}`);
  console.log(`  CPU per event ${total.toFixed(3)} ms: ${parts.join(", ")}; answer p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`);
}

async function reads(): Promise<void> {
  const { people, perSecond, p50Ms, p95Ms, p99Ms, apiMs, postgresMs, bad } = await benchReads();
  console.log(`\nSimple reads of ${people} people at once, ${perSecond.toFixed(0)} a second, by one copy`);
  console.log(`  p50 ${p50Ms.toFixed(1)} ms, p95 ${p95Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms; ${bad} failed`);
  console.log(`  CPU per read: api ${apiMs.toFixed(2)} ms, Postgres ${postgresMs.toFixed(2)} ms`);
}

async function watching(): Promise<void> {
  console.log("\nCPU per call of the relay, by how it is watched (medians of interleaved rounds)");
  for (const { name, cpu, more } of await benchWatching(await places())) {
    console.log(`  ${name.padEnd(50)} ${cpu.toFixed(0)} µs (${more < 0 ? "" : "+"}${more.toFixed(0)})`);
  }
}

async function events(): Promise<void> {
  console.log("\nCPU for each event (medians)");
  for (const { name, cpu } of await benchEvents(await freshRedis())) console.log(`  ${name.padEnd(22)} ${cpu.toFixed(1)} µs`);
  console.log("\nEvents and the live monitor (medians)");
  const { without, log, listening } = await benchMonitor(await places());
  console.log(`  CPU per call of the relay without events ${without.toFixed(0)} µs, with the activity log ${log.toFixed(0)} µs`);
  for (const { listeners, cpu, p50Ms, p99Ms } of listening)
    console.log(
      `  ${String(listeners).padStart(3)} listeners: ${cpu.toFixed(0)} µs a call, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`,
    );
}

async function live(): Promise<void> {
  const { sockets, memory, subscribers, reach, cut } = await benchLive(await freshRedis());
  console.log("\nLive push over WebSockets");
  console.log(`  ${(memory.bytes / 1_024).toFixed(1)} KB for each of ${sockets.toLocaleString("en")} sockets`);
  for (const { whose, p50, p99, most } of reach)
    console.log(
      `  an event to ${subscribers} sockets of ${whose === "one" ? "one person" : "as many people"}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, last ${most.toFixed(1)} ms`,
    );
  console.log(`  ${cut.cut} of ${cut.clients} cut while events came: ${cut.clients - cut.whole} missed or repeated anything`);
}

async function relay(profile: string | undefined): Promise<void> {
  console.log("CPU per relayed call, with everything on, beside bare Express (medians of interleaved rounds)");
  const relayFlags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const { results, bytesPerIdleStream } = await benchRelay(await places(), { relayFlags });
  for (const { kind, relayCpu, bareCpu, times, relayP50Ms, bareP50Ms } of results) {
    console.log(
      `  ${NAMES[kind].padEnd(20)} ${relayCpu.toFixed(0)} µs, bare Express ${bareCpu.toFixed(0)} µs: ${times.toFixed(2)}×; ` +
        `p50 ${relayP50Ms.toFixed(1)} and ${bareP50Ms.toFixed(1)} ms`,
    );
  }
  console.log(`\nMemory\n  ${(bytesPerIdleStream / 1_024).toFixed(1)} KB for each idle stream`);
}

async function ledger(): Promise<void> {
  for (const limits of [0, 3]) {
    console.log(`\nHolds on one hot wallet${limits > 0 ? ` and ${limits} spend limits` : ""}`);
    for (const { callers, holdsPerSecond, p50Ms } of await benchHolds(await freshDatabase(), limits)) {
      console.log(
        `  ${String(callers).padStart(3)} callers: ${Math.round(holdsPerSecond).toLocaleString("en")} a second, p50 ${p50Ms.toFixed(2)} ms`,
      );
    }
  }
}

async function settlement(): Promise<void> {
  console.log("\nSettlement by the workflow");
  const settled = await benchSettlement({
    databaseUrl: await freshDatabase(),
    temporalAddress: infra().temporalAddress,
    namespace: await freshNamespace(),
    shards: 1,
  });
  console.log(`  ${Math.round(settled.settledPerSecond).toLocaleString("en")} events a second from a backlog`);
  console.log(
    `  ${Math.round(settled.liveRecordedPerSecond).toLocaleString("en")} calls a second held, recorded and settled live; lag p50 ${settled.liveLagP50Ms.toFixed(0)} ms, p99 ${settled.liveLagP99Ms.toFixed(0)} ms`,
  );
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
