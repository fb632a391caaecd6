import { hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { randomText } from "../platform/ids.ts";

/** `sk-tk-`, 37 random base62 characters (220 bits), then 6 that are a checksum of them, so that a typo is refused without a query. */
const PREFIX = "sk-tk-";
const RANDOM_LENGTH = 37;
const CHECK_LENGTH = 6;
const KEY_LENGTH = PREFIX.length + RANDOM_LENGTH + CHECK_LENGTH;
const SHOWN_LENGTH = PREFIX.length + 6;
const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = "";
  while (digits.length < CHECK_LENGTH) {
    digits = BASE62[rest % 62]! + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/** True for everything that claims to be one of our keys. */
export function claimsToBeKey(text: string): boolean {
  return text.startsWith(PREFIX);
}

/** A new key, what is stored of it and what is shown of it. */
export function makeKey(): { key: string; hash: string; prefix: string } {
  const body = PREFIX + randomText(RANDOM_LENGTH);
  const key = body + checksum(body);
  return { key, hash: hashKey(key), prefix: key.slice(0, SHOWN_LENGTH) };
}

/** True when the form and the checksum are right; says nothing about whether the key exists. */
export function isWellFormedKey(text: string): boolean {
  if (text.length !== KEY_LENGTH || !text.startsWith(PREFIX)) return false;
  const body = text.slice(0, KEY_LENGTH - CHECK_LENGTH);
  return /^[0-9A-Za-z]+$/.test(text.slice(PREFIX.length)) && checksum(body) === text.slice(KEY_LENGTH - CHECK_LENGTH);
}

/** What the database knows of a key: its SHA-256, by the one-shot function because every relayed call needs it. */
export function hashKey(key: string): string {
  return hash("sha256", key);
}
