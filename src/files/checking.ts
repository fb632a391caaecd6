import { WorkflowExecutionAlreadyStartedError, type Client } from "@temporalio/client";
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from "@temporalio/common";
import type { Logger } from "../platform/logger.ts";
import type { FileDeps } from "./deps.ts";

const START_WITHIN_MS = 2_000;
const userKey = defineSearchAttributeKey("UserId", SearchAttributeType.KEYWORD);

/**
 * Starts the workflow that reads a file, once at a time for each. Never rejects: while Temporal is away the file waits, and the sweep starts
 * what was lost.
 */
export function createStartCheck(deps: { temporal: Client; taskQueue: string; log: Logger }): FileDeps["startCheck"] {
  const { temporal, taskQueue, log } = deps;
  return async (fileId, ownerId) => {
    try {
      await temporal.withDeadline(Date.now() + START_WITHIN_MS, () =>
        temporal.workflow.start("fileCheck", {
          workflowId: `file-check-${fileId}`,
          taskQueue,
          args: [fileId],
          typedSearchAttributes: new TypedSearchAttributes([{ key: userKey, value: ownerId }]),
          staticSummary: "Reads an uploaded file and compares its sha256",
        }),
      );
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return;
      log.warn({ err: error, file_id: fileId }, "a file is checked later: temporal is not reachable");
    }
  };
}
