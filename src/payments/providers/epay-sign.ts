import { createHash } from "node:crypto";
import { equalSecret } from "../../platform/secrets.ts";

/** Epay (V1): the signature is the MD5 of the canonical string followed directly by the merchant key. */

/**
 * The canonical string: without `sign`, `sign_type` and empty values, keys in byte order, `k=v` joined with `&`, values as plain text,
 * not URL-encoded. Different parameters can therefore give the same string; see epay-notice.ts for what is refused because of it.
 */
export function canonical(parameters: Readonly<Record<string, string>>): string {
  return Object.entries(parameters)
    .filter(([name, value]) => name !== "sign" && name !== "sign_type" && value !== "")
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

/** Lower-case hex. `separator` stands between string and key; a few gateways want "&key=". */
export function sign(parameters: Readonly<Record<string, string>>, key: string, separator = ""): string {
  return createHash("md5")
    .update(`${canonical(parameters)}${separator}${key}`, "utf8")
    .digest("hex");
}

/** True only for a signature of exactly these parameters. Compared in constant time; a missing or empty one is false. */
export function verify(parameters: Readonly<Record<string, string>>, key: string, separator = ""): boolean {
  const given = parameters["sign"];
  return typeof given === "string" && /^[0-9a-f]{32}$/.test(given) && equalSecret(given, sign(parameters, key, separator));
}
