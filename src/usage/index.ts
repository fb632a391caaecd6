import type { Client } from "@temporalio/client";
import type { HideIp } from "../platform/hideIp.ts";
import type { Logger } from "../platform/logger.ts";
import { createMetrics, type Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import { createRecorderMetrics } from "./metrics.ts";
import { createNudger } from "./nudge.ts";
import { createRecorder, type Recorder } from "./recorder.ts";
import { wakeSettlement } from "./wake.ts";

export { createAverages, type AverageCall, type Averages } from "./averages.ts";
export type { UpstreamAttempt } from "./attempts.ts";
export { consumptionId } from "./dify/answers.ts";
export { createReadyDays } from "./dify/days.ts";
export { chargeRun, waiveRun, type HeldRun, type HeldRuns, type OwedRun } from "./dify/runs.ts";
export { createDifyUsage, createDifyWebhook, tidyDify, watchOpenEvents } from "./dify/index.ts";
export { difyMessageKey, difyUser } from "./difyMessage.ts";
export { behaviourSince, spentOf } from "./behaviour.ts";
export { createDrain, type Drain, type DrainResult } from "./drain.ts";
export { shardOf, type UsageEvent } from "./event.ts";
export { failuresByProvider } from "./health.ts";
export { createHousekeeping, type HouseKept, type Housekeeping } from "./housekeeping.ts";
export { createIncidentReporter, forgetIncidents, reportIncidents, type Incident } from "./incidents.ts";
export { lastMinute } from "./lastMinute.ts";
export { forgetMessageCalls } from "./messageCalls.ts";
export { backlog, owing } from "./repository.ts";
export { ratesOf } from "./rates.ts";
export { paidSince, unsettledBefore, usedByModel } from "./periods.ts";
export { createSettlementTrace, createTraceLeaver } from "./traces.ts";
export { usageRoutes } from "./routes.ts";
export { sourceRoutes } from "./sources/routes.ts";
export { servedCalls } from "./served.ts";
export { createSettlement, type Settlement } from "./settlement.ts";
export { createSettlementMetrics, watchBacklog } from "./settlementMetrics.ts";
export { spentAndDueSince } from "./due.ts";
export { chargedSince, spentSince } from "./spent.ts";
export { settlementWorkflowId, startSettlements } from "./wake.ts";
export type { Recorder };

/** What the relay uses of this domain. */
export type Usage = Recorder;

/** The task queue of everything about money. */
export const BILLING_QUEUE = "billing";

/** Creates the recording side of usage: durable events, and a nudge for the settlement of their shard that nobody waits for. */
export function createUsage(deps: {
  pool: Pool;
  log: Logger;
  temporal: Client;
  shards: number;
  hideIp?: HideIp;
  metrics?: Metrics;
  taskQueue?: string;
}): Usage {
  const { pool, log, temporal, shards, hideIp, metrics = createMetrics(), taskQueue = BILLING_QUEUE } = deps;
  const nudger = createNudger({ wake: (shard) => wakeSettlement(temporal, shard, taskQueue) });
  return createRecorder({ pool, log, shards, nudger, ...(hideIp ? { hideIp } : {}), metrics: createRecorderMetrics(metrics) });
}
