import { setTimeout as delay } from "node:timers/promises";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Route } from "../http/route.ts";
import type { Invalidation } from "../platform/invalidation.ts";
import type { Logger } from "../platform/logger.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import type { Redis } from "../platform/redis.ts";
import { watchBalances, type BalanceDeps } from "./balances.ts";
import { createCommands } from "./commands.ts";
import { createConnect, type ConnectDeps } from "./connect.ts";
import { createFigures } from "./figures.ts";
import { createHub } from "./hub.ts";
import type { Publish } from "./message.ts";
import { createHubMetrics } from "./metrics.ts";
import { createOriginCheck } from "./origin.ts";
import { createPlaces } from "./places.ts";
import { liveRoutes } from "./routes.ts";
import { createStanding } from "./standing.ts";
import { createTickets } from "./tickets.ts";
import { createTopics } from "./topics.ts";
import { createWheel } from "./wheel.ts";

export { liveDemo } from "./demo/index.ts";
export type { LiveMessage, Publish } from "./message.ts";
export { createPublisherMetrics } from "./metrics.ts";
export { createLivePublisher, type LivePublisher } from "./publisher.ts";

/** Where clients connect. */
export const LIVE_PATH = "/ws";

const STOP_MS = 3_000;
/** Sockets closed in one turn of the event loop when a copy stops. */
const CLOSED_AT_ONCE = 200;

export interface LiveDeps
  extends Pick<ConnectDeps, "authenticateToken" | "principalOf" | "count">, Pick<BalanceDeps, "states" | "balance"> {
  redis: Redis;
  pool: Pool;
  log: Logger;
  metrics: Metrics;
  invalidation: Pick<Invalidation, "on" | "fresh">;
  publish: Publish;
  /** The name of this copy; no other has it. */
  copy: string;
  publicUrl: string;
  corsOrigins: readonly string[];
  /** Connections of one person, on all copies. */
  mostConnections: number;
  /** Bytes that may wait for one client to take them. */
  mostWaiting: number;
  /** Milliseconds of a turn of the heartbeats' wheel, of which there are 25; a second unless told. */
  turnMs?: number;
  ownsTask(userId: string, taskId: string): Promise<boolean>;
  livingSessions(ids: readonly string[]): Promise<ReadonlySet<string>>;
  userExists(id: string): Promise<boolean>;
}

/** Live push of one copy of the api. */
export interface Live {
  routes: Route[];
  publish: Publish;
  /** Takes over a connection that asks for a WebSocket at {@link LIVE_PATH}. */
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  readonly connections: number;
  /** Tells every client that this copy stops, and waits a moment for them to go; they go on at another copy. */
  stop(): Promise<void>;
}

/** Puts the hub of a copy together; every process has a publisher of its own. */
export function createLive(deps: LiveDeps): Live {
  const { redis, log, copy, publish } = deps;
  let stopping = false;
  const metrics = createHubMetrics(deps.metrics, () => now());
  const hub = createHub({ redis, copy, mostWaiting: deps.mostWaiting, metrics, log });
  const now = () => ({ connections: hub.connections, users: hub.rooms.size });
  const { send, cut } = hub;
  const tickets = createTickets({ redis });
  const places = createPlaces({ redis, copy, most: deps.mostConnections });
  const topics = createTopics(deps);
  const wheel = createWheel({ send, cut, lastId: () => hub.lastId, ...(deps.turnMs === undefined ? {} : { turnMs: deps.turnMs }) });
  const standing = createStanding({ ...deps, rooms: hub.rooms, cut });
  const balances = watchBalances({ ...deps, rooms: hub.rooms });
  const figures = createFigures({ redis, copy, now, heardAtMs: () => hub.heardAtMs, renew: () => hub.renew() });
  const upgrade = createConnect({
    ...deps,
    hub,
    places,
    tickets,
    topics,
    wheel,
    standing,
    metrics,
    commands: createCommands({ topics, send, cut }),
    mayOpen: createOriginCheck(deps),
    stopping: () => stopping,
  });

  const peers = () => [...hub.rooms.values()].flatMap((room) => [...room.peers]);

  async function closeAll(): Promise<void> {
    for (const [i, peer] of peers().entries()) {
      cut(peer, "shutdown");
      if (i % CLOSED_AT_ONCE === CLOSED_AT_ONCE - 1) await delay(0);
    }
    for (const until = performance.now() + STOP_MS; hub.connections > 0 && performance.now() < until;) await delay(20);
    for (const peer of peers()) peer.ws.terminate();
  }

  return {
    routes: liveRoutes({ ...deps, tickets, places, figures: figures.all }),
    publish,
    upgrade,
    get connections() {
      return hub.connections;
    },
    async stop() {
      stopping = true;
      balances.stop();
      await closeAll();
      wheel.stop();
      standing.stop();
      await figures.stop();
      hub.stop();
    },
  };
}
