import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, type RawData, type WebSocket } from "ws";
import { errorBody, toAppError } from "../http/errorHandler.ts";
import type { Principal } from "../http/principal.ts";
import { requestIdOf } from "../http/trace.ts";
import { validate } from "../http/validate.ts";
import { appError, ERROR_CODES, type AppError } from "../platform/errors.ts";
import type { Logger } from "../platform/logger.ts";
import { freshCredit, MOST_BYTES, type Commands } from "./commands.ts";
import type { Hub } from "./hub.ts";
import { saying } from "./message.ts";
import type { HubMetrics } from "./metrics.ts";
import type { Peer } from "./peer.ts";
import type { Places } from "./places.ts";
import { connectQuery } from "./schema.ts";
import type { Standing } from "./standing.ts";
import type { Tickets } from "./tickets.ts";
import { EVERYTHING, type Topics } from "./topics.ts";
import { HEARTBEAT_SECONDS, type Wheel } from "./wheel.ts";

/** How long a client may take to close its side. */
const CLOSE_MS = 5_000;

export interface ConnectDeps {
  hub: Hub;
  places: Places;
  tickets: Tickets;
  topics: Topics;
  wheel: Wheel;
  standing: Standing;
  commands: Commands;
  metrics: HubMetrics;
  log: Logger;
  mayOpen(req: IncomingMessage): boolean;
  authenticateToken(jwt: string): Promise<Principal>;
  principalOf(userId: string, sessionId: string): Promise<Principal>;
  /** Counts who connects, by address if nobody knows who it is; throws `rate_limited`. */
  count(req: IncomingMessage, principal: Principal | undefined): void;
  stopping(): boolean;
}

/** Whoever may connect, and to what. */
interface Admitted {
  principal: Principal & { sessionId: string };
  topics: ReadonlySet<string>;
  lastEventId: string | undefined;
}

/** Answers an upgrade that is refused, in the words of every other route; browsers only learn that it failed. */
function refuse(req: IncomingMessage, socket: Duplex, error: AppError): void {
  const header = req.headers["x-request-id"];
  const requestId = requestIdOf(typeof header === "string" ? header : undefined);
  const body = JSON.stringify(errorBody(error, requestId));
  const lines = [
    `HTTP/1.1 ${error.status} ${ERROR_CODES[error.code].message}`,
    "content-type: application/json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    "cache-control: no-store",
    "connection: close",
    ...(error.retryAfter === undefined ? [] : [`retry-after: ${Math.max(1, Math.ceil(error.retryAfter))}`]),
  ];
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
  // Whoever does not close its half is not waited for.
  setTimeout(() => socket.destroy(), CLOSE_MS).unref();
}

function giveUp(this: Duplex): void {
  this.destroy();
}

/** Opens WebSockets: who it is, whether there is a place, which topics; then the hub has it. */
export function createConnect(deps: ConnectDeps): (req: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const { hub, places, commands, wheel } = deps;
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MOST_BYTES,
    // The library has it, its types do not yet.
    ...({ closeTimeout: CLOSE_MS } as object),
  });

  async function callerOf(req: IncomingMessage, { ticket, token }: { ticket?: string | undefined; token?: string | undefined }) {
    if (ticket !== undefined) {
      const holder = await deps.tickets.redeem(ticket);
      if (!holder) throw appError("unauthenticated", { message: "The ticket is unknown, used or too old" });
      return deps.principalOf(holder.userId, holder.sessionId);
    }
    const bearer = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? "")?.[1] ?? token;
    if (bearer === undefined) throw appError("unauthenticated");
    return deps.authenticateToken(bearer);
  }

  async function admit(req: IncomingMessage): Promise<Admitted> {
    if (deps.stopping()) throw appError("unavailable", { message: "This copy stops; try again", retryAfter: 1 });
    if (!deps.mayOpen(req)) throw appError("forbidden", { message: "Pages of this origin may not connect" });
    const query = validate(connectQuery, Object.fromEntries(new URL(req.url ?? "/", "http://host").searchParams), "query");
    const principal = await callerOf(req, query).catch((error: unknown) => {
      if (toAppError(error).code === "unauthenticated") deps.count(req, undefined);
      throw error;
    });
    deps.count(req, principal);
    const { sessionId } = principal;
    if (sessionId === undefined) throw appError("forbidden", { message: "Sign in with an access token to do this" });
    const refused = query.topics && (await deps.topics.refused(principal.userId, query.topics));
    if (refused !== undefined) throw appError("not_found", { message: "There is no such topic", details: { topic: refused } });
    return {
      principal: { ...principal, sessionId },
      topics: query.topics ? new Set(query.topics) : EVERYTHING,
      lastEventId: query.last_event_id,
    };
  }

  function open(ws: WebSocket, { principal, topics, lastEventId }: Admitted): void {
    const { userId, walletId, sessionId } = principal;
    const room = hub.enter(userId, walletId);
    const peer: Peer = { ws, room, sessionId, topics, live: false, from: lastEventId, heard: true, slot: 0, cut: false, ...freshCredit() };
    ws.on("message", (data: RawData, binary: boolean) => {
      peer.heard = true;
      if (!commands.count(peer)) return;
      commands.take(peer, binary ? "" : String(data));
    });
    ws.on("pong", () => (peer.heard = true));
    ws.on("ping", () => {
      peer.heard = true;
      commands.count(peer);
    });
    ws.on("error", () => undefined);
    ws.on("close", () => {
      wheel.remove(peer);
      hub.remove(peer);
      places.free(userId);
    });
    wheel.add(peer);
    hub.send(peer, saying("hello", { topics: [...topics], heartbeat_seconds: HEARTBEAT_SECONDS }, lastEventId ?? null));
    hub.add(peer);
    // The session may have ended while the connection was being opened.
    deps.standing.check(userId);
  }

  async function connect(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const admitted = await admit(req);
    const { userId } = admitted.principal;
    await places.take(userId);
    let opened = false;
    // A handshake that is no good is answered by the library, and has no place.
    const settle = (): void => void (opened || places.free(userId));
    if (socket.destroyed) return settle();
    try {
      server.handleUpgrade(req, socket, head, (ws) => {
        opened = true;
        open(ws, admitted);
      });
    } finally {
      settle();
    }
  }

  return (req, socket, head) => {
    socket.on("error", giveUp);
    connect(req, socket, head).catch((thrown: unknown) => {
      const error = toAppError(thrown);
      deps.metrics.refused(error.code);
      if (error.status >= 500) deps.log.warn({ err: error.cause ?? error }, "a websocket could not be opened");
      refuse(req, socket, error);
    });
  };
}
