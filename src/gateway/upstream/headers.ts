/** What of the caller's headers may reach a provider. Everything else (authorization, cookie, forwarding, host) stays here. */
const FORWARDED = ["openai-beta", "anthropic-version", "anthropic-beta"] as const;

const USER_AGENT = "tollkeeper";
const SANE = /^[\x20-\x7e]{1,1024}$/;

/** Headers of an upstream request as a flat list, built from an allow-list. `extra` are the provider's own. */
export function upstreamHeaders(options: {
  caller: Record<string, string | string[] | undefined>;
  apiKey: string;
  accept: string;
  contentType: string;
  bytes: number;
  extra?: Record<string, string> | undefined;
  /** Of the dialect: names and values in turn. */
  more?: string[] | undefined;
}): string[] {
  const list = [
    "accept",
    options.accept,
    "accept-encoding",
    "identity",
    "content-type",
    options.contentType,
    "content-length",
    String(options.bytes),
    "user-agent",
    USER_AGENT,
  ];
  for (const name of FORWARDED) {
    const value = options.caller[name];
    if (typeof value === "string" && SANE.test(value)) list.push(name, value);
  }
  for (const name in options.extra) list.push(name.toLowerCase(), options.extra[name]!);
  if (options.more) list.push(...options.more);
  if (!list.includes("authorization")) list.push("authorization", `Bearer ${options.apiKey}`);
  return list;
}

/** The provider's id for the request, for the record; undefined unless it is a harmless word. */
export function upstreamRequestId(headers: Record<string, string | string[] | undefined>): string | null {
  const value = headers["x-request-id"] ?? headers["request-id"];
  return typeof value === "string" && /^[\w.:-]{1,128}$/.test(value) ? value : null;
}

/** Seconds a provider asks us to wait, at most 5 minutes; undefined when it says nothing usable. */
export function retryAfterSeconds(headers: Record<string, string | string[] | undefined>): number | undefined {
  const value = headers["retry-after"];
  if (typeof value !== "string" || !/^\d{1,4}$/.test(value)) return undefined;
  return Math.min(300, Number(value));
}
