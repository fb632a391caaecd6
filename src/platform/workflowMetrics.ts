import type { WorkflowClientInterceptor } from "@temporalio/client";
import type { Metrics } from "./metrics.ts";

/**
 * Counts what this process asks Temporal to start, by workflow type. How workflows end is counted by Temporal's own metrics of the worker.
 * Declares its metric; once per process.
 */
export function countWorkflowStarts(metrics: Metrics): WorkflowClientInterceptor {
  const starts = metrics.counters({
    name: "tollkeeper_workflow_starts_total",
    help: "Requests to Temporal that start a workflow or join the running one, by type, kind of request and result.",
    labels: ["type", "request", "result"],
  });

  async function counting<T>(type: string, request: string, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      starts.of(type, request, "ok").add();
      return result;
    } catch (error) {
      starts.of(type, request, "error").add();
      throw error;
    }
  }

  return {
    startWithDetails: (input, next) => counting(input.workflowType, "start", () => next(input)),
    signalWithStart: (input, next) => counting(input.workflowType, "signal_with_start", () => next(input)),
    startUpdateWithStart: (input, next) => counting(input.workflowType, "update_with_start", () => next(input)),
  };
}
