import { recordAudit } from "../admin/audit.ts";
import { created, ok, rawRoute, route, type Route } from "../http/route.ts";
import { appError } from "../platform/errors.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import type { CopyFigures } from "./figures.ts";
import type { Publish } from "./message.ts";
import type { Places } from "./places.ts";
import { allFigures, connectQuery, noticeBody, noticeView, ownFigures, ticketView, type NoticeBody } from "./schema.ts";
import { TICKET_SECONDS, type Tickets } from "./tickets.ts";

export interface LiveRouteDeps {
  pool: Pool;
  tickets: Tickets;
  places: Places;
  publish: Publish;
  /** Connections of one person, on all copies. */
  mostConnections: number;
  figures(): Promise<CopyFigures[]>;
  userExists(id: string): Promise<boolean>;
}

const TAG = "Live push";
const OPERATORS = "Operators: live push";

/** All copies together. */
export function totalsOf(copies: CopyFigures[]) {
  const sum = (of: (figures: CopyFigures) => number): number => copies.reduce((total, figures) => total + of(figures), 0);
  return { connections: sum(({ connections }) => connections), users: sum(({ users }) => users), copies };
}

/** Tells one person or everybody, on record. Throws `user_not_found`. */
export function createNoticeSender(deps: Pick<LiveRouteDeps, "pool" | "publish" | "userExists">) {
  return async (body: NoticeBody, by: { actorId: string; traceId: string }) => {
    const { user_id = null, title = null, message, level } = body;
    if (user_id !== null && !(await deps.userExists(user_id))) throw appError("user_not_found");
    const target = user_id === null ? "everybody" : `user:${user_id}`;
    await inTransaction(deps.pool, (tx) => recordAudit(tx, { ...by, action: "live.notice", target, details: { title, message, level } }));
    deps.publish({ userId: user_id, type: "notice", data: { kind: "system", title, message, level } });
    return { user_id, title, message, level };
  };
}

/** What belongs to WebSockets and goes over plain HTTP. */
export function liveRoutes(deps: LiveRouteDeps): Route[] {
  const { tickets, places, mostConnections } = deps;
  const sendNotice = createNoticeSender(deps);
  return [
    route({
      method: "post",
      path: "/api/live/tickets",
      summary: "A ticket for one WebSocket, for clients that cannot send headers",
      tag: TAG,
      access: "session",
      responses: { 201: ticketView },
      handler: async ({ principal }) =>
        created({ ticket: await tickets.issue({ userId: principal.userId, sessionId: principal.sessionId! }), expires_in: TICKET_SECONDS }),
    }),
    route({
      method: "get",
      path: "/api/live/stats",
      summary: "How many live connections I have",
      tag: TAG,
      access: "session",
      responses: { 200: ownFigures },
      handler: async ({ principal }) => ok({ connections: await places.of(principal.userId), limit: mostConnections }),
    }),
    rawRoute({
      method: "get",
      path: "/ws",
      summary: "What happens with my tasks and my wallet, as it happens",
      description:
        "A WebSocket: messages `{type, id, time, data}`, types `task.progress`, `task.status`, `task.log`, `notice`, `balance`, `topup`, and `hello`, `ready`, " +
        "`heartbeat`, `gap`, `subscribed`, `pong`, `error` of the connection itself. Goes on behind `last_event_id`; nothing is missed for ten minutes. By " +
        "ticket or access token. See docs/live.md.",
      tag: TAG,
      access: "none",
      query: connectQuery,
      responses: { 101: undefined },
      errors: ["unauthenticated", "forbidden", "not_found", "upgrade_required", "rate_limited"],
      handler(_req, res) {
        res.setHeader("upgrade", "websocket");
        throw appError("upgrade_required");
      },
    }),
    route({
      method: "get",
      path: "/api/admin/live",
      summary: "Live connections of all copies",
      tag: OPERATORS,
      access: "operator",
      responses: { 200: allFigures },
      handler: async () => ok(totalsOf(await deps.figures())),
    }),
    route({
      method: "post",
      path: "/api/admin/live/notices",
      summary: "Tell one person or everybody something",
      description: "Whoever is connected sees it at once, whoever comes back within ten minutes then.",
      tag: OPERATORS,
      access: "operator",
      body: noticeBody,
      responses: { 201: noticeView },
      errors: ["user_not_found"],
      handler: async ({ body, principal, traceId }) => created(await sendNotice(body, { actorId: principal.userId, traceId })),
    }),
  ];
}
