import { Client, Connection } from "@temporalio/client";
import { createUsageActivities, type UsageServices } from "../../activities/usage.ts";
import { startWorker, type RunningWorker } from "../../src/main/worker-runtime.ts";
import { BILLING_QUEUE, createDrain, createHousekeeping, startSettlements } from "../../src/usage/index.ts";
import { ensureSchedules } from "../../temporal/schedules.ts";
import { silent, usageRig, type UsageRig } from "./usage.ts";

/** Usage with a real Temporal worker in this process. */
export interface WorkerRig extends UsageRig {
  client: Client;
  services: UsageServices;
  /** Another worker on the same queue. */
  anotherWorker(): RunningWorker;
}

/** Connects, prepares nothing: each test says which workflows it wants with {@link startSettlements} or {@link ensureSchedules}. */
export async function workerRig(options: {
  url: string;
  address: string;
  namespace: string;
  shards?: number;
  lingerMs?: number;
}): Promise<WorkerRig> {
  const connection = await Connection.connect({ address: options.address });
  const client = new Client({ connection, namespace: options.namespace });
  const rig = usageRig({ url: options.url, temporal: client, ...(options.shards ? { shards: options.shards } : {}) });
  const services: UsageServices = {
    drain: createDrain({ pool: rig.pool, settlement: rig.settlement, batch: 500, log: silent }),
    housekeeping: createHousekeeping({ pool: rig.pool, ledger: rig.ledger, shards: rig.shards, log: silent }),
    startSettlements: () => startSettlements(client, rig.shards, BILLING_QUEUE),
    lingerMs: options.lingerMs ?? 300,
  };
  const workers: RunningWorker[] = [];
  const anotherWorker = () => {
    const worker = startWorker({
      address: options.address,
      namespace: options.namespace,
      taskQueue: BILLING_QUEUE,
      activities: createUsageActivities(services),
      client,
      graceMs: 5_000,
      log: silent,
    });
    workers.push(worker);
    return worker;
  };
  anotherWorker();
  return {
    ...rig,
    client,
    services,
    anotherWorker,
    async close() {
      await Promise.all(workers.map((worker) => worker.stop()));
      await rig.close();
      await connection.close();
    },
  };
}

export { ensureSchedules };
