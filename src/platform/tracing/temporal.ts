import type { WorkflowClientInterceptor } from "@temporalio/client";
import { defaultPayloadConverter, type Headers, type Payload } from "@temporalio/common";
import type { ActivityExecuteInput, ActivityInterceptorsFactory } from "@temporalio/worker";
import { inSpan, serving } from "./current.ts";
import type { Span, Tracing } from "./types.ts";

/** The header that carries a `traceparent` through Temporal; workflows/tracing.ts hands it from a workflow to its activities. */
export const TRACE_HEADER = "traceparent";

const encode = (traceparent: string): Payload => defaultPayloadConverter.toPayload(traceparent)!;

function read(headers: Headers): string | undefined {
  const payload = headers[TRACE_HEADER];
  const value: unknown = payload && defaultPayloadConverter.fromPayload(payload);
  return typeof value === "string" ? value : undefined;
}

/** Makes requests to workflows part of the traced request that makes them, and tells the workflow. */
export function traceWorkflowRequests(): WorkflowClientInterceptor {
  /** `about` names the workflow: its type where that is known, else what is asked of it. */
  function asking<I extends { headers: Headers }, T>(
    operation: string,
    about: string,
    input: I,
    next: (input: I) => Promise<T>,
  ): Promise<T> {
    const facts = { "messaging.system": "temporal", "tollkeeper.workflow": about };
    const options = { kind: "client", facts } as const;
    const told = (span: Span | undefined): I =>
      span ? { ...input, headers: { ...input.headers, [TRACE_HEADER]: encode(span.traceparent) } } : input;
    return inSpan(`temporal ${operation} ${about}`, options, (span) => next(told(span)));
  }
  return {
    startWithDetails: (input, next) => asking("start", input.workflowType, input, next),
    signalWithStart: (input, next) => asking("signalWithStart", input.workflowType, input, next),
    signal: (input, next) => asking("signal", input.signalName, input, next),
    startUpdate: (input, next) => asking("update", input.updateName, input, next),
    startUpdateWithStart: (input, next) =>
      inSpan(`temporal updateWithStart ${input.workflowType}`, { kind: "client", facts: { "messaging.system": "temporal" } }, (span) => {
        if (!span) return next(input);
        const header = { [TRACE_HEADER]: encode(span.traceparent) };
        return next({
          ...input,
          workflowStartHeaders: { ...input.workflowStartHeaders, ...header },
          updateHeaders: { ...input.updateHeaders, ...header },
        });
      }),
  };
}

/** Makes each activity of a traced workflow a span, and what it asks of Postgres a part of that. */
export function traceActivities(tracing: Tracing): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      async execute(input: ActivityExecuteInput, next) {
        const traceparent = read(input.headers);
        const span =
          traceparent === undefined
            ? undefined
            : tracing.resume(`activity ${info.activityType}`, traceparent, {
                kind: "consumer",
                facts: {
                  "tollkeeper.workflow": info.workflowType,
                  "tollkeeper.workflow_id": info.workflowExecution?.workflowId,
                  "tollkeeper.attempt": info.attempt,
                },
              });
        if (!span) return next(input);
        let left = (): void => undefined;
        try {
          return await serving(
            { requestId: span.traceId, span },
            () => next(input),
            (leave) => (left = leave),
          );
        } catch (error) {
          span.fail((error as Error).name);
          throw error;
        } finally {
          left();
          span.end();
        }
      },
    },
  });
}
