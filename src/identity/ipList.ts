import { BlockList, isIP } from "node:net";

const PREFIX_BITS = { 4: 32, 6: 128 } as const;

function parse(text: string): { address: string; family: "ipv4" | "ipv6"; bits: number } | undefined {
  const [address = "", suffix, ...rest] = text.split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0 || address.includes("%")) return undefined;
  const most = PREFIX_BITS[version as 4 | 6];
  if (suffix !== undefined && !/^(0|[1-9]\d{0,2})$/.test(suffix)) return undefined;
  const bits = suffix === undefined ? most : Number(suffix);
  return bits <= most ? { address, family: version === 4 ? "ipv4" : "ipv6", bits } : undefined;
}

/** True for an IPv4 or IPv6 address or a CIDR range. */
export function isAddressOrRange(text: string): boolean {
  return parse(text) !== undefined;
}

/** Addresses and ranges, ready for many lookups. Unreadable entries match nothing. */
export function createIpList(entries: string[]): { has(ip: string): boolean } {
  const list = new BlockList();
  for (const entry of entries) {
    const range = parse(entry);
    if (range) list.addSubnet(range.address, range.bits, range.family);
  }
  return {
    has(ip) {
      // A dual-stack socket shows IPv4 callers as ::ffff:1.2.3.4.
      const address = ip.startsWith("::ffff:") && isIP(ip.slice(7)) === 4 ? ip.slice(7) : ip;
      const version = isIP(address);
      return version !== 0 && list.check(address, version === 4 ? "ipv4" : "ipv6");
    },
  };
}
