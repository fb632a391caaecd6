import type { Request } from "express";
import { isOperator, type Principal } from "../http/principal.ts";
import type { Route } from "../http/route.ts";
import { AppError } from "../platform/errors.ts";
import type { Logger } from "../platform/logger.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Redis } from "../platform/redis.ts";
import { createHub } from "./hub.ts";
import { createMonitorMetrics } from "./metrics.ts";
import { monitorRoutes } from "./routes.ts";
import { createSeats } from "./seats.ts";
import { createSnapshot, type MonitorSources } from "./snapshot.ts";
import { createTickets } from "./tickets.ts";

export { createMonitorPublisher, type MonitorPublisher } from "./publisher.ts";

export interface Monitor {
  routes: Route[];
  /** Ends every stream; who listened may go on at another copy. */
  stop(): void;
}

/** The listening side of the live monitor; every process has a publisher of its own. */
export function createMonitor(
  deps: MonitorSources & {
    redis: Redis;
    log: Logger;
    metrics: Metrics;
    /** Tells every process that somebody listens. */
    wakeAll(): Promise<void>;
    /** Streams of one operator, on all copies. */
    mostListeners: number;
    authenticate(req: Request): Promise<Principal | undefined>;
    /** Whose session this is, now; throws when it has ended. */
    principalOf(userId: string, sessionId: string): Promise<Principal>;
  },
): Monitor {
  const { redis, log } = deps;
  const snapshot = createSnapshot(deps);
  const seats = createSeats({ redis, most: deps.mostListeners });

  async function mayListen(userId: string, sessionId: string): Promise<boolean> {
    try {
      return isOperator(await deps.principalOf(userId, sessionId));
    } catch (error) {
      if (error instanceof AppError && error.status < 500) return false;
      throw error;
    }
  }

  const counted = createMonitorMetrics(deps.metrics, () => hub.size);
  const hub = createHub({
    redis,
    seats,
    log,
    mayListen,
    wakeAll: deps.wakeAll,
    state: async () => JSON.stringify(await snapshot()),
    cut: counted.cut,
  });
  const tickets = createTickets({ redis });
  return {
    routes: monitorRoutes({ hub, seats, tickets, snapshot, authenticate: deps.authenticate, mayListen }),
    stop: () => hub.stop(),
  };
}
