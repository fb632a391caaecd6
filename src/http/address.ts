import type { IncomingMessage } from "node:http";

/**
 * The caller's address as Express's `req.ip` with "trust proxy" set to a number of hops: that many proxies in front are believed about
 * whom they speak for, none by default.
 */
export function addressOf(req: IncomingMessage, hops: number): string {
  const peer = req.socket.remoteAddress ?? "";
  const forwarded = hops > 0 ? req.headers["x-forwarded-for"] : undefined;
  if (typeof forwarded !== "string") return peer;
  const chain = [
    peer,
    ...forwarded
      .split(",")
      .map((address) => address.trim())
      .reverse(),
  ];
  return chain[Math.min(hops, chain.length - 1)]!;
}
