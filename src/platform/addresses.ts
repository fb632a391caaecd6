import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from "node:dns";
import { lookup as resolve } from "node:dns/promises";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { buildConnector } from "undici";

/** Address ranges that a URL that somebody gave us must not lead into, from the IANA special-purpose registries (RFC 6890 and later). */
const PRIVATE_V4: [string, number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];
/** With the ranges that carry an IPv4 address inside, whatever that is: nobody is reached through them. */
const PRIVATE_V6: [string, number][] = [
  ["::", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
  ["5f00::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
];

const blocked = new BlockList();
for (const [net, prefix] of PRIVATE_V4) blocked.addSubnet(net, prefix, "ipv4");
for (const [net, prefix] of PRIVATE_V6) blocked.addSubnet(net, prefix, "ipv6");

/** True for loopback, private, link-local, reserved and multicast addresses, also when written as IPv4 inside IPv6. */
export function isPrivateAddress(address: string): boolean {
  const plain = address.replace(/^\[|\]$/g, "").replace(/%.*$/, "");
  const family = isIP(plain);
  if (family === 0) return false;
  return blocked.check(plain, family === 6 ? "ipv6" : "ipv4");
}

/** Thrown when a connection would lead to a private address. */
export class PrivateAddressError extends Error {
  readonly code = "EPRIVATE";

  constructor(host: string) {
    super(`${host} is a private address`);
    this.name = "PrivateAddressError";
  }
}

/** A `lookup` for sockets that refuses a name when any of its addresses is private, so that a name cannot change after it was checked. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  const all: LookupOptions & { all: true } = { ...(options as LookupOptions), all: true };
  dnsLookup(hostname, all, (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => {
    const first = addresses?.[0];
    if (error || !first) return callback(error ?? new Error(`${hostname} has no address`), "", 0);
    if (addresses.some(({ address }) => isPrivateAddress(address))) return callback(new PrivateAddressError(hostname), "", 0);
    if ((options as LookupOptions).all) callback(null, addresses as never);
    else callback(null, first.address, first.family);
  });
};

/** The `connect` of an undici Agent or Pool for calls to addresses that were given to us: guards literal addresses and looked-up names, unless private ones are allowed. */
export function guardedConnector(options: { allowPrivate: boolean; timeoutMs: number }): buildConnector.connector {
  const base = { timeout: options.timeoutMs, keepAlive: true };
  if (options.allowPrivate) return buildConnector(base);
  const connect = buildConnector({ ...base, lookup: publicLookup } as buildConnector.BuildOptions);
  return (target, callback) => {
    if (isPrivateAddress(target.hostname)) callback(new PrivateAddressError(target.hostname), null);
    else connect(target, callback);
  };
}

const LOOKUP_PATIENCE_MS = 2_000;

/**
 * True when a host is, or now resolves to, a private address. A name that cannot be resolved counts as public: the connection
 * is checked again when it is made.
 */
export async function leadsToPrivate(host: string): Promise<boolean> {
  const plain = host.replace(/^\[|\]$/g, "");
  if (isIP(plain)) return isPrivateAddress(plain);
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<LookupAddress[]>((done) => {
    timer = setTimeout(() => done([]), LOOKUP_PATIENCE_MS);
  });
  const addresses = await Promise.race([resolve(plain, { all: true }).catch(() => []), patience]);
  clearTimeout(timer);
  return addresses.some(({ address }) => isPrivateAddress(address));
}
