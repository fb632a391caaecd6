import { type Client, ScheduleAlreadyRunning, type ScheduleOptions } from "@temporalio/client";

/** A workflow that Temporal starts by the clock. Adding one here is all it takes. */
export interface ScheduledWorkflow {
  /** Id of the schedule, and the beginning of its workflows' ids. */
  id: string;
  workflowType: string;
  everyMs: number;
  summary: string;
}

export const SCHEDULES: readonly ScheduledWorkflow[] = [
  { id: "hold-sweep", workflowType: "holdSweep", everyMs: 30_000, summary: "Frees credit held by lost calls" },
  { id: "callback-delivery", workflowType: "callbackDelivery", everyMs: 15_000, summary: "Delivers payment notices that were left" },
  { id: "reward-delivery", workflowType: "rewardDelivery", everyMs: 60_000, summary: "Pays rewards that were left" },
  { id: "notice-delivery", workflowType: "noticeDelivery", everyMs: 15_000, summary: "Tells of balances that fell below a threshold" },
  { id: "file-sweep", workflowType: "fileSweep", everyMs: 60_000, summary: "Removes unfinished uploads and deleted files" },
  { id: "grant-expiry", workflowType: "grantExpiry", everyMs: 3_600_000, summary: "Expires grants" },
  { id: "quota-reset", workflowType: "quotaReset", everyMs: 900_000, summary: "Opens periods, writes statements, reviews tiers" },
];

function scheduleOptions(entry: ScheduledWorkflow, taskQueue: string): ScheduleOptions {
  return {
    scheduleId: entry.id,
    spec: { intervals: [{ every: entry.everyMs }] },
    // One at a time, and after a pause of the server one run, not one for each that was missed.
    policies: { overlap: "SKIP", catchupWindow: "1m" },
    action: {
      type: "startWorkflow",
      workflowType: entry.workflowType,
      workflowId: entry.id,
      taskQueue,
      args: [],
      staticSummary: entry.summary,
    },
  };
}

/**
 * Creates the schedules that are missing and corrects those that differ (interval, workflow, queue). Idempotent, and safe when several
 * workers start at once. A schedule that an operator paused stays paused.
 */
export async function ensureSchedules(
  client: Client,
  options: { taskQueue: string; schedules?: readonly ScheduledWorkflow[]; everyMs?: Readonly<Record<string, number>> },
): Promise<void> {
  for (const listed of options.schedules ?? SCHEDULES) {
    const entry = { ...listed, everyMs: options.everyMs?.[listed.id] ?? listed.everyMs };
    const wanted = scheduleOptions(entry, options.taskQueue);
    try {
      await client.schedule.create(wanted);
    } catch (error) {
      if (!(error instanceof ScheduleAlreadyRunning)) throw error;
      await correct(client, entry, wanted);
    }
  }
}

async function correct(client: Client, entry: ScheduledWorkflow, wanted: ScheduleOptions): Promise<void> {
  const handle = client.schedule.getHandle(entry.id);
  const found = await handle.describe();
  const { action } = found;
  const same =
    found.spec.intervals?.length === 1 &&
    found.spec.intervals[0]?.every === entry.everyMs &&
    action.type === "startWorkflow" &&
    action.workflowType === entry.workflowType &&
    action.taskQueue === wanted.action.taskQueue;
  if (same) return;
  await handle.update((previous) => ({
    ...previous,
    spec: wanted.spec,
    policies: { ...previous.policies, ...wanted.policies },
    action: wanted.action,
  }));
}
