import {
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from "@temporalio/client";
import type { registrationVerification } from "../../workflows/registrationVerification.ts";
import type { Resend, Submission, SubmitOutcome, VerificationInput } from "../../workflows/registrationState.ts";
import { appError } from "../platform/errors.ts";
import { sha256 } from "../platform/secrets.ts";
import { isTemporalUnavailable, type TemporalLink } from "../platform/temporal.ts";

const TASK_QUEUE = "billing";
const START_DEADLINE_MS = 3_000;
const PING_DEADLINE_MS = 2_000;
const SUBMIT_DEADLINE_MS = 15_000;

/** The workflow that proves an address; the same for everybody who asks about it. */
export const registrationWorkflowId = (email: string) => `registration-${sha256(email.toLowerCase())}`;

export interface RegistrationWorkflows {
  /** Starts or joins the address's workflow and asks it for a mail. Throws `unavailable` while Temporal is away. */
  resend(email: string, request: Resend): Promise<void>;
  /** Hands in a code; undefined when there is nothing to hand it to. Throws `unavailable` while Temporal or its workers are away. */
  submitCode(email: string, submission: Submission & { kind: "code" }): Promise<SubmitOutcome | undefined>;
  /** Hands in a link's token, to a new run if need be: the token itself is proof enough. */
  submitLink(email: string, submission: Submission & { kind: "link" }): Promise<SubmitOutcome | undefined>;
}

/** "a…@example.com": enough for an operator to recognise, too little to copy. */
function masked(email: string): string {
  const at = email.lastIndexOf("@");
  return `${email.slice(0, 1)}…${email.slice(at)}`;
}

async function reachable<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    // The validator refused: there is nothing live to submit to.
    if (error instanceof WorkflowUpdateFailedError) return undefined;
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isTemporalUnavailable(error)) {
      throw appError("unavailable", { message: "Registration is not available right now, please try again", retryAfter: 5, cause: error });
    }
    throw error;
  }
}

export function createRegistrationWorkflows(deps: {
  temporal: TemporalLink;
  settings: Omit<VerificationInput, "email">;
}): RegistrationWorkflows {
  const { client } = deps.temporal;

  const startOptions = (email: string) => ({
    workflowId: registrationWorkflowId(email),
    taskQueue: TASK_QUEUE,
    args: [{ email, ...deps.settings }] as [VerificationInput],
    staticSummary: `Registration of ${masked(email)}`,
    staticDetails: "Proves that somebody receives mail at this address, then activates the account and posts the welcome grant.",
  });

  /** An update takes as long as its worker needs; whether Temporal is there at all is known sooner. */
  const submitting = (update: () => Promise<SubmitOutcome>) =>
    reachable(async () => {
      await deps.temporal.ping(PING_DEADLINE_MS);
      return client.withDeadline(Date.now() + SUBMIT_DEADLINE_MS, update);
    });

  return {
    async resend(email, request) {
      await reachable(() =>
        client.withDeadline(Date.now() + START_DEADLINE_MS, () =>
          client.workflow.signalWithStart<typeof registrationVerification, [Resend]>("registrationVerification", {
            ...startOptions(email),
            signal: "resend",
            signalArgs: [request],
          }),
        ),
      );
    },

    submitCode: (email, submission) =>
      submitting(() =>
        client.workflow
          .getHandle(registrationWorkflowId(email))
          .executeUpdate<SubmitOutcome, [Submission]>("submit", { args: [submission], updateId: submission.registrationId }),
      ),

    submitLink: (email, submission) =>
      submitting(() =>
        client.workflow.executeUpdateWithStart<typeof registrationVerification, SubmitOutcome, [Submission]>("submit", {
          args: [submission],
          startWorkflowOperation: new WithStartWorkflowOperation<typeof registrationVerification>("registrationVerification", {
            ...startOptions(email),
            workflowIdConflictPolicy: "USE_EXISTING",
          }),
        }),
      ),
  };
}
