import type { Problem } from "../checks.ts";

type Headers = Record<string, string | string[] | undefined>;

/** What a caller gets who names no version, and what we speak where a request is converted: it knows temperature and its like. */
export const DEFAULT_VERSION = "2023-06-01";
/** https://docs.anthropic.com/en/api/versioning; the official clients of October 2026 send the newer one. */
const VERSIONS = new Set([DEFAULT_VERSION, "2026-10-21"]);

/** The version a request is made under. */
export const versionOf = (headers: Headers): string => String(headers["anthropic-version"] ?? DEFAULT_VERSION);

/** What is wrong with the version a caller names, or undefined. */
export function checkVersion(headers: Headers): Problem | undefined {
  return VERSIONS.has(versionOf(headers)) ? undefined : { param: "anthropic-version", message: `must be ${[...VERSIONS].join(" or ")}` };
}
