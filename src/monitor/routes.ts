import type { Request, Response } from "express";
import { isOperator, type Principal } from "../http/principal.ts";
import { created, ok, rawRoute, route, type Route } from "../http/route.ts";
import { validate } from "../http/validate.ts";
import { appError, fieldError } from "../platform/errors.ts";
import { uuidv7 } from "../platform/ids.ts";
import type { Hub } from "./hub.ts";
import { Listener } from "./listener.ts";
import { isEntryId, message } from "./messages.ts";
import { snapshotView, streamQuery, ticketView } from "./schema.ts";
import type { Seats } from "./seats.ts";
import type { Snapshot } from "./snapshot.ts";
import { TICKET_SECONDS, type TicketHolder, type Tickets } from "./tickets.ts";

export interface MonitorRouteDeps {
  hub: Hub;
  seats: Seats;
  tickets: Tickets;
  snapshot: Snapshot;
  authenticate(req: Request): Promise<Principal | undefined>;
  /** Whether somebody is still an operator with a live session. */
  mayListen(userId: string, sessionId: string): Promise<boolean>;
}

const TAG = "Operators: monitor";
const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/** The live monitor for operators. */
export function monitorRoutes(deps: MonitorRouteDeps): Route[] {
  const { hub, seats, tickets, snapshot } = deps;

  /** Who wants to listen: by ticket or by access token. Throws unless that is an operator. */
  async function listenerOf(req: Request, ticket: string | undefined): Promise<TicketHolder> {
    if (ticket !== undefined) {
      const holder = await tickets.redeem(ticket);
      if (!holder) throw appError("unauthenticated", { message: "The ticket is unknown, used or too old" });
      if (!(await deps.mayListen(holder.userId, holder.sessionId))) throw appError("forbidden");
      return holder;
    }
    const principal = await deps.authenticate(req);
    if (!principal) throw appError("unauthenticated");
    if (!principal.sessionId || !isOperator(principal)) throw appError("forbidden");
    return { userId: principal.userId, sessionId: principal.sessionId };
  }

  function lastIdOf(req: Request, asked: string | undefined): string | undefined {
    const header = req.get("last-event-id");
    if (header === undefined || header === "") return asked;
    if (!isEntryId(header)) throw fieldError("last-event-id", "must be the id of an event of this stream");
    return header;
  }

  async function listen(req: Request, res: Response): Promise<void> {
    const { ticket, last_event_id, ...filter } = validate(streamQuery, req.query, "query");
    const lastEventId = lastIdOf(req, last_event_id);
    const who = await listenerOf(req, ticket);
    const id = uuidv7();
    await seats.take(who.userId, id);
    const listener = new Listener({ ...who, id, filter, res, lastEventId });
    // Our half of a connection stays open when the client closes its own (see http/server.ts); who listens to a stream does that only to leave.
    const leave = (): void => void res.destroy();
    req.socket.once("end", leave);
    res.on("close", () => {
      req.socket.off("end", leave);
      listener.closed = true;
      hub.remove(listener);
      seats.free(who.userId, id);
    });
    res.on("error", () => undefined);
    if (req.socket.destroyed) return void seats.free(who.userId, id);
    res.writeHead(200, HEADERS);
    res.write(message("hello", JSON.stringify({ ...(await snapshot()), listeners: hub.size + 1 })));
    if (listener.closed) return;
    try {
      await hub.add(listener);
    } catch {
      listener.bye("unavailable");
    }
  }

  return [
    route({
      method: "get",
      path: "/api/admin/monitor",
      summary: "How the system is",
      description: "Its parts, what waits for settlement and in queues, and how the last minute went.",
      tag: TAG,
      access: "operator",
      responses: { 200: snapshotView },
      handler: async () => ok({ ...(await snapshot()), listeners: hub.size }),
    }),
    route({
      method: "post",
      path: "/api/admin/monitor/tickets",
      summary: "A ticket for one stream, for clients that cannot send headers",
      tag: TAG,
      access: "operator",
      responses: { 201: ticketView },
      handler: async ({ principal }) =>
        created({ ticket: await tickets.issue({ userId: principal.userId, sessionId: principal.sessionId! }), expires_in: TICKET_SECONDS }),
    }),
    rawRoute({
      method: "get",
      path: "/api/admin/monitor/stream",
      summary: "What happens, as it happens",
      description:
        "Server-sent events, the same on every copy: `hello` (how the system is), `events` (a tenth of a second of a process), `rates` (each second), " +
        "`state`, `gap` (what cannot be shown) and `bye` with the reason before the end. Goes on behind `Last-Event-ID`. For operators: a bearer token, " +
        "or a ticket. See docs/monitor.md.",
      tag: TAG,
      access: "none",
      query: streamQuery,
      produces: "text/event-stream",
      responses: { 200: undefined },
      errors: ["unauthenticated", "forbidden", "rate_limited", "unavailable"],
      handler: listen,
    }),
  ];
}
