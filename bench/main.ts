import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { emptyDatabase, freshDatabase, freshNamespace, freshRedis, infra } from "../test/support/stack.ts";
import { cleanUp } from "../test/support/cleanup.ts";
import { startInfra } from "../test/support/infra.ts";
import { benchHolds } from "./ledger.ts";
import { benchRelay } from "./relay.ts";
import { benchSettlement } from "./settlement.ts";

const NAMES = { whole: "whole answer", stream: "stream of 50 chunks" };

/**
 * `npm run bench`: what a relayed call costs beside a bare pass-through, holds and settlements per second, memory per idle stream.
 * Everything runs on this machine and shares its cores, on servers of its own. Not a test: figures depend on the machine.
 * `--only relay|ledger|settlement` runs one part, `--profile FOLDER` leaves a CPU profile of the relay there.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: "string" }, profile: { type: "string" } } });
  const wanted = (name: string): boolean => values.only === undefined || values.only === name;
  console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}\n`);
  await startInfra();
  try {
    if (wanted("relay")) await relay(values.profile);
    if (wanted("ledger")) await ledger();
    if (wanted("settlement")) await settlement();
  } finally {
    await cleanUp();
  }
}

async function relay(profile: string | undefined): Promise<void> {
  console.log("CPU per relayed call, with everything on, beside bare Express (medians of interleaved rounds)");
  const relayFlags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const { results, bytesPerIdleStream } = await benchRelay(await emptyDatabase(), await freshRedis(), { relayFlags });
  for (const { kind, relayCpu, bareCpu, times, relayP50Ms, bareP50Ms } of results) {
    console.log(
      `  ${NAMES[kind].padEnd(20)} ${relayCpu.toFixed(0)} µs, bare Express ${bareCpu.toFixed(0)} µs: ${times.toFixed(2)}×; ` +
        `p50 ${relayP50Ms.toFixed(1)} and ${bareP50Ms.toFixed(1)} ms`,
    );
  }
  console.log(`\nMemory\n  ${(bytesPerIdleStream / 1_024).toFixed(1)} KB for each idle stream`);
}

async function ledger(): Promise<void> {
  console.log("\nHolds on one hot wallet");
  for (const { callers, holdsPerSecond, p50Ms } of await benchHolds(await freshDatabase())) {
    console.log(
      `  ${String(callers).padStart(3)} callers: ${Math.round(holdsPerSecond).toLocaleString("en")} a second, p50 ${p50Ms.toFixed(2)} ms`,
    );
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
