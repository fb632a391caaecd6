import type { IncomingMessage } from "node:http";

/**
 * Whether the page that opens a WebSocket may: pages of this server, and of the listed origins. Programs send no Origin. Browsers do not keep
 * pages from opening WebSockets elsewhere, so that is for the server to do (RFC 6455, 10.2).
 */
export function createOriginCheck(options: { publicUrl: string; corsOrigins: readonly string[] }): (req: IncomingMessage) => boolean {
  const allowed = new Set(options.corsOrigins.map((origin) => origin.replace(/\/+$/, "")));
  allowed.add(new URL(options.publicUrl).origin);
  return ({ headers: { origin, host } }) => {
    if (origin === undefined || allowed.has("*") || allowed.has(origin)) return true;
    return URL.canParse(origin) && host !== undefined && new URL(origin).host === host.toLowerCase();
  };
}
