import { BlockList, isIPv6 } from "node:net";
import type { Request } from "express";
import { equalSecret } from "../platform/secrets.ts";

/** Who may see the inside: metrics, providers by name. */
export interface InsideAccess {
  /** When set, it alone decides. */
  token: string | undefined;
  /** True on a port of its own, which nobody reaches from outside: neighbours on a private network may read too. */
  ownPort: boolean;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

const neighbours = new BlockList();
for (const [net, bits] of [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
] as const)
  neighbours.addSubnet(net, bits);
neighbours.addSubnet("fc00::", 7, "ipv6");
neighbours.addSubnet("fe80::", 10, "ipv6");

/** What a proxy adds: behind one on this machine everybody would look like a neighbour. */
const FORWARDED = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];

function isNear(address: string, ownPort: boolean): boolean {
  const plain = address.replace(/^::ffff:/, "").replace(/%.*$/, "");
  const family = isIPv6(plain) ? "ipv6" : "ipv4";
  return loopback.check(plain, family) || (ownPort && neighbours.check(plain, family));
}

/** Whether this request may see the inside of the product. */
export function mayRead(req: Pick<Request, "headers" | "socket">, { token, ownPort }: InsideAccess): boolean {
  if (token !== undefined) {
    const given = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? "")?.[1];
    return given !== undefined && equalSecret(given, token);
  }
  return FORWARDED.every((name) => req.headers[name] === undefined) && isNear(req.socket.remoteAddress ?? "", ownPort);
}
