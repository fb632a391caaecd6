import { appError } from "../platform/errors.ts";
import { randomText } from "../platform/ids.ts";
import type { Redis } from "../platform/redis.ts";
import { sha256 } from "../platform/secrets.ts";
import { ticketKey } from "./keys.ts";

export const TICKET_SECONDS = 30;

/** Whose ticket it is. */
export interface TicketHolder {
  userId: string;
  sessionId: string;
}

/** Tickets stand for a sign-in where no header can be sent, as in a browser's WebSocket. Each opens one connection, soon. */
export interface Tickets {
  issue(holder: TicketHolder): Promise<string>;
  /** Uses it up; undefined for an unknown, used or old one. */
  redeem(ticket: string): Promise<TicketHolder | undefined>;
}

/** What needs Redis is refused while it is away. */
export const away = (cause: unknown): never => {
  throw appError("unavailable", { message: "Live push needs Redis, which is not reachable", retryAfter: 2, cause });
};

export function createTickets({ redis }: { redis: Redis }): Tickets {
  return {
    async issue(holder) {
      const ticket = `lt-${randomText(43)}`;
      await redis.set(ticketKey(sha256(ticket)), JSON.stringify(holder), "EX", TICKET_SECONDS).catch(away);
      return ticket;
    },
    async redeem(ticket) {
      const holder = await redis.getdel(ticketKey(sha256(ticket))).catch(away);
      return holder ? (JSON.parse(holder) as TicketHolder) : undefined;
    },
  };
}
