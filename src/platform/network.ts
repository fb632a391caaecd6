import { isIPv6 } from "node:net";

const GROUPS = 8;
/** A customer's own part of an address is at least the last four groups (RFC 6177, RFC 4291 2.5.4): one host has them all. */
const NETWORK_GROUPS = 4;

/** Whose calls count together: an IPv4 address for itself, IPv6 addresses by their /64. Anything else stands for itself. */
export function networkOf(ip: string): string {
  if (!ip.includes(":")) return ip;
  // As a dual-stack socket shows them, and as some proxies do, with the port.
  const four = /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/i.exec(ip);
  if (four) return four[1]!;
  const address = ip.replace(/^\[|\](?::\d+)?$/g, "").split("%")[0]!;
  if (!isIPv6(address)) return ip;
  const [head = "", tail] = address.toLowerCase().split("::");
  const before = head.split(":").filter(Boolean);
  const after = (tail ?? "").split(":").filter(Boolean);
  const missing = tail === undefined ? 0 : GROUPS - before.length - after.length - (address.includes(".") ? 1 : 0);
  const groups = [...before, ...Array.from({ length: Math.max(0, missing) }, () => "0"), ...after].slice(0, NETWORK_GROUPS);
  return `${groups.map((group) => group.replace(/^0+(?=.)/, "")).join(":")}::/64`;
}
