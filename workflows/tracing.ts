import type {
  ActivityInput,
  ContinueAsNewInput,
  Next,
  SignalInput,
  UpdateInput,
  WorkflowExecuteInput,
  WorkflowInboundCallsInterceptor,
  WorkflowInterceptorsFactory,
  WorkflowOutboundCallsInterceptor,
} from "@temporalio/workflow";

const HEADER = "traceparent";

type WithHeaders = Pick<WorkflowExecuteInput, "headers">;

/**
 * Hands the trace that a workflow was started in, or that the last signal or update came from, on to its activities and to the run that
 * continues it. Headers are no part of what a replay compares, and without a header nothing is done.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  let current: WithHeaders["headers"][string] | undefined;

  const note = ({ headers }: WithHeaders): void => {
    current = headers[HEADER] ?? current;
  };
  const told = <I extends WithHeaders>(input: I): I => (current ? { ...input, headers: { ...input.headers, [HEADER]: current } } : input);

  const inbound: WorkflowInboundCallsInterceptor = {
    execute(input: WorkflowExecuteInput, next: Next<WorkflowInboundCallsInterceptor, "execute">) {
      note(input);
      return next(input);
    },
    handleSignal(input: SignalInput, next: Next<WorkflowInboundCallsInterceptor, "handleSignal">) {
      note(input);
      return next(input);
    },
    handleUpdate(input: UpdateInput, next: Next<WorkflowInboundCallsInterceptor, "handleUpdate">) {
      note(input);
      return next(input);
    },
  };
  const outbound: WorkflowOutboundCallsInterceptor = {
    scheduleActivity: (input: ActivityInput, next: Next<WorkflowOutboundCallsInterceptor, "scheduleActivity">) => next(told(input)),
    continueAsNew: (input: ContinueAsNewInput, next: Next<WorkflowOutboundCallsInterceptor, "continueAsNew">) => next(told(input)),
  };
  return { inbound: [inbound], outbound: [outbound] };
};
