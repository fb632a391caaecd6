/**
 * What of the caller's headers may reach any provider of its kind; what else a format passes on, its dialect says, because it has read it.
 * Everything else (authorization, cookie, forwarding, host) stays here.
 */
const FORWARDED = { openai: ["openai-beta"], claude: [], dify: [] } as const;

const USER_AGENT = "tollkeeper";
const SANE = /^[\x20-\x7e]{1,1024}$/;

function has(list: readonly string[], name: string): boolean {
  for (let i = 0; i < list.length; i += 2) if (list[i] === name) return true;
  return false;
}

/** Headers of an upstream request as a flat list, built from an allow-list. Where two set the same, the operator goes before the format, and that before the caller. */
export function upstreamHeaders(options: {
  caller: Record<string, string | string[] | undefined>;
  speaks: keyof typeof FORWARDED;
  /** Names and values in turn; see upstreamAuth. */
  auth: readonly string[];
  accept: string;
  contentType: string;
  bytes: number;
  /** The provider's own. */
  extra?: Record<string, string> | undefined;
  /** Of the dialect: names and values in turn. */
  more?: string[] | undefined;
}): string[] {
  const { more, auth } = options;
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
  const add = (name: string, value: string): void => {
    if (!has(list, name)) list.push(name, value);
  };
  for (const name in options.extra) add(name.toLowerCase(), options.extra[name]!);
  for (let i = 0; i < (more?.length ?? 0); i += 2) add(more![i]!, more![i + 1]!);
  for (const name of FORWARDED[options.speaks]) {
    const value = options.caller[name];
    if (typeof value === "string" && SANE.test(value)) add(name, value);
  }
  for (let i = 0; i < auth.length; i += 2) add(auth[i]!, auth[i + 1]!);
  return list;
}

/** The provider's id for the request, for the record; undefined unless it is a harmless word. */
export function upstreamRequestId(headers: Record<string, string | string[] | undefined>): string | null {
  const value = headers["x-request-id"] ?? headers["request-id"];
  return typeof value === "string" && /^[\w.:-]{1,128}$/.test(value) ? value : null;
}

const MOST_PATIENCE_MS = 300_000;

/** Milliseconds a provider asks us to wait, at most 5 minutes; undefined when it says nothing usable. It may name seconds or a date (RFC 9110). */
export function retryAfterMs(headers: Record<string, string | string[] | undefined>, now = Date.now()): number | undefined {
  const exact = headers["retry-after-ms"];
  if (typeof exact === "string" && /^\d{1,7}$/.test(exact)) return Math.min(MOST_PATIENCE_MS, Number(exact));
  const value = headers["retry-after"];
  if (typeof value !== "string") return undefined;
  if (/^\d{1,7}(\.\d{1,3})?$/.test(value)) return Math.min(MOST_PATIENCE_MS, Number(value) * 1_000);
  const date = /^\w{3},? /.test(value) ? Date.parse(value) : NaN;
  return Number.isNaN(date) ? undefined : Math.min(MOST_PATIENCE_MS, Math.max(0, date - now));
}

/** The same in seconds. */
export function retryAfterSeconds(headers: Record<string, string | string[] | undefined>): number | undefined {
  const ms = retryAfterMs(headers);
  return ms === undefined ? undefined : ms / 1_000;
}
