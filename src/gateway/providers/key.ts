import { sha256, type SecretBox } from "../../platform/secrets.ts";

/** One of a provider's keys, in clear. */
export interface ProviderKey {
  /** Tells keys apart without showing them; the same in every copy and after the encryption key was changed. */
  fingerprint: string;
  value: string;
}

const SHOWN = 4;
/** Shorter keys are not shown in part. */
const LONG_ENOUGH = 20;

/** Eight hex digits of a hash: enough to tell a provider's keys apart, of no use to find one. */
export const fingerprintOf = (key: string): string => sha256(`provider key ${key}`).slice(0, 8);

/** What an operator recognises a key by; nothing of a short one. */
export const hintOf = (key: string): string => (key.length >= LONG_ENOUGH ? `…${key.slice(-SHOWN)}` : "…");

/** A provider's stored keys in clear; undefined in place of one that was sealed with a secret that is not configured any more. */
export function readKeys(row: { api_keys: string[] }, secretBox: Pick<SecretBox, "open">): (ProviderKey | undefined)[] {
  return row.api_keys.map((sealed) => {
    try {
      const value = secretBox.open(sealed);
      return { fingerprint: fingerprintOf(value), value };
    } catch {
      return undefined;
    }
  });
}
