import type { Logger } from "../platform/logger.ts";

/**
 * Something a person must look at. Logged at level error with `alert: true`, so that log-based alerting finds every kind in one way.
 * Never pass what a provider sent as it is: it may hold signatures.
 */
export function alert(log: Logger, what: { kind: string; orderNo?: string | undefined } & Record<string, string | undefined>): void {
  const { kind, orderNo, ...rest } = what;
  log.error({ alert: true, kind, ...(orderNo ? { order_no: orderNo } : {}), ...rest }, `payments: ${kind.replaceAll("_", " ")}`);
}
