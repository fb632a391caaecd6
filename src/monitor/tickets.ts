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

/** Tickets stand for a sign-in where no header can be sent, as in a browser's EventSource. Each opens one stream, soon. */
export interface Tickets {
  issue(holder: TicketHolder): Promise<string>;
  /** Uses it up; undefined for an unknown, used or old one. */
  redeem(ticket: string): Promise<TicketHolder | undefined>;
}

export function createTickets({ redis }: { redis: Redis }): Tickets {
  const away = (cause: unknown): never => {
    throw appError("unavailable", { message: "The monitor needs Redis, which is not reachable", retryAfter: 2, cause });
  };
  return {
    async issue(holder) {
      const ticket = `mt-${randomText(43)}`;
      await redis.set(ticketKey(sha256(ticket)), JSON.stringify(holder), "EX", TICKET_SECONDS).catch(away);
      return ticket;
    },
    async redeem(ticket) {
      const holder = await redis.getdel(ticketKey(sha256(ticket))).catch(away);
      return holder ? (JSON.parse(holder) as TicketHolder) : undefined;
    },
  };
}
