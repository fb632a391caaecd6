import { Client, Connection, isGrpcServiceError, WorkflowNotFoundError, type WorkflowClientInterceptor } from "@temporalio/client";
import type { Logger } from "./logger.ts";
import { restWhenEmpty } from "./restingStorage.ts";

/** How the rest of the program reaches Temporal. No relayed call ever waits for it. */
export interface TemporalLink {
  readonly client: Client;
  /** The connection below the client, for what only its services can do. */
  readonly connection: Connection;
  readonly namespace: string;
  /** Link to a workflow in the Temporal UI, by workflow id. */
  workflowUrl(workflowId: string): string;
  /** Milliseconds of a health check; throws when the server does not answer within `timeoutMs`. */
  ping(timeoutMs: number): Promise<number>;
  close(): Promise<void>;
}

/** A lazily opened connection: creating it never fails and never waits, also while Temporal is down. */
export function createTemporalLink(options: {
  address: string;
  namespace: string;
  uiUrl: string;
  apiKey?: string | undefined;
  tls?: boolean | undefined;
  /** Run around every request about a workflow. */
  interceptors?: WorkflowClientInterceptor[];
  log: Logger;
}): TemporalLink {
  const connection = Connection.lazy({
    address: options.address,
    tls: options.tls ?? false,
    ...(options.apiKey ? { apiKey: options.apiKey } : {}),
  });
  restBetweenCalls(connection);
  const client = new Client({ connection, namespace: options.namespace, interceptors: { workflow: options.interceptors ?? [] } });
  return {
    client,
    connection,
    namespace: options.namespace,
    workflowUrl: (id) => `${options.uiUrl}/namespaces/${encodeURIComponent(options.namespace)}/workflows/${encodeURIComponent(id)}`,
    async ping(timeoutMs) {
      const started = performance.now();
      await connection.withDeadline(Date.now() + timeoutMs, () => connection.workflowService.getSystemInfo({}));
      return performance.now() - started;
    },
    close: () => connection.close(),
  };
}

/** The SDK hands deadlines and headers to its requests in an async-local store, and never switches it off again. */
function restBetweenCalls({ callContextStorage }: Connection): void {
  const enter = restWhenEmpty(callContextStorage);
  const { run } = callContextStorage;
  const resting = (...[store, work]: Parameters<typeof run>): unknown => {
    const leave = enter();
    try {
      const result: unknown = run.call(callContextStorage, store, work);
      if (!(result instanceof Promise)) leave();
      else result.then(leave, leave);
      return result;
    } catch (error) {
      leave();
      throw error;
    }
  };
  callContextStorage.run = resting as typeof run;
}

/** True when the error means "Temporal cannot be reached now" rather than "Temporal refuses this". */
export function isTemporalUnavailable(error: unknown): boolean {
  if (error instanceof WorkflowNotFoundError) return false;
  for (let current: unknown = error; current; current = (current as { cause?: unknown }).cause) {
    if (isGrpcServiceError(current)) return [4, 14, 8, 1].includes(current.code as number);
    if (/Failed to connect|ECONNREFUSED|DEADLINE_EXCEEDED|UNAVAILABLE/.test((current as Error).message ?? "")) return true;
  }
  return false;
}
