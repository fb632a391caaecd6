import { randomText } from "../platform/ids.ts";

const LETTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/** What an order number looks like: 6 to 32 digits and upper-case letters, which every provider takes. */
export const ORDER_NO = /^TK[0-9A-Z]{4,30}$/;

/** A new order number: TK, the day (UTC), 14 random characters. Uniqueness is the database's. */
export function newOrderNo(now: Date): string {
  return `TK${now.toISOString().slice(0, 10).replaceAll("-", "")}${randomText(14, LETTERS)}`;
}
