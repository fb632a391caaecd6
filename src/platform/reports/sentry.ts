import { createStackParser, createTransport, Scope, type ErrorEvent } from "@sentry/core";
import { nodeStackLineParser, ServerRuntimeClient } from "@sentry/core/server";
import { createAllowance } from "./allowance.ts";
import type { ErrorReporter, ErrorReporterOptions, Problem } from "./index.ts";
import { redactText } from "./redact.ts";

const SEND_TIMEOUT_MS = 5_000;
/** Fields of a log line that may be told; everything else stays in the log. */
const TAGS = [
  "trace_id",
  "otel_trace_id",
  "component",
  "method",
  "path",
  "status",
  "error_code",
  "provider",
  "model",
  "kind",
  "alert",
  "order_no",
  "call",
  "shard",
  "task_queue",
  "workflowType",
  "activityType",
] as const;

/** A reporter by Sentry's protocol: errors with their stack, no request bodies, no headers, no local variables, no addresses. */
export function createSentryReporter(options: ErrorReporterOptions): ErrorReporter {
  const client = new ServerRuntimeClient({
    dsn: options.dsn,
    release: options.release,
    environment: options.environment,
    platform: "node",
    runtime: { name: "node", version: process.version },
    integrations: [],
    stackParser: createStackParser(nodeStackLineParser()),
    beforeSend: cleaned,
    transport: (transport) =>
      createTransport(transport, async ({ body }) => {
        const answer = await fetch(transport.url, {
          method: "POST",
          body: typeof body === "string" ? body : Buffer.from(body),
          ...(transport.headers ? { headers: transport.headers } : {}),
          signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
        });
        await answer.arrayBuffer();
        const told = (name: string) => answer.headers.get(name);
        return {
          statusCode: answer.status,
          headers: { "x-sentry-rate-limits": told("x-sentry-rate-limits"), "retry-after": told("retry-after") },
        };
      }),
  });
  client.init();
  const allowed = createAllowance();

  return {
    report(problem) {
      try {
        const { error, message } = problem;
        if (!allowed(`${message} ${error instanceof Error ? `${error.name} ${error.message}` : ""}`)) return;
        const scope = scopeOf(problem, options.service);
        if (error instanceof Error) client.captureException(error, undefined, scope);
        else client.captureEvent({ message, level: problem.level }, undefined, scope);
      } catch {
        // A report that cannot be made must not become an error of its own.
      }
    },
    flush: async (timeoutMs) => void (await client.flush(timeoutMs)),
  };
}

function scopeOf({ level, message, fields }: Problem, service: string): Scope {
  const scope = new Scope();
  scope.setLevel(level);
  scope.setTag("service", service);
  scope.setTag("log", message);
  for (const name of TAGS) {
    const value = fields[name];
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") scope.setTag(name, redactText(String(value)));
  }
  return scope;
}

/** The last look at an event before it leaves. */
function cleaned(event: ErrorEvent): ErrorEvent {
  if (event.message) event.message = redactText(event.message);
  for (const exception of event.exception?.values ?? []) if (exception.value) exception.value = redactText(exception.value);
  delete event.extra;
  delete event.user;
  delete event.request;
  delete event.breadcrumbs;
  delete event.server_name;
  return event;
}
