import { hash } from "node:crypto";
import { crc32 } from "node:zlib";
import { randomText } from "../platform/ids.ts";

/**
 * `sk-tk-` for keys, `sk-tk-eu-` for end-user tokens, 37 random base62 characters (220 bits), then 6 that are a checksum of them, so that
 * a typo is refused without a query.
 */
const KEY_PREFIX = "sk-tk-";
const TOKEN_PREFIX = "sk-tk-eu-";
const RANDOM_LENGTH = 37;
const CHECK_LENGTH = 6;
const SHOWN_LENGTH = 6;
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

/** True for everything that claims to be one of our keys or tokens. */
export function claimsToBeKey(text: string): boolean {
  return text.startsWith(KEY_PREFIX);
}

/** True for everything that claims to be an end-user token. */
export function claimsToBeToken(text: string): boolean {
  return text.startsWith(TOKEN_PREFIX);
}

interface Secret {
  key: string;
  hash: string;
  prefix: string;
}

function make(prefix: string): Secret {
  const body = prefix + randomText(RANDOM_LENGTH);
  const key = body + checksum(body);
  return { key, hash: hashKey(key), prefix: key.slice(0, prefix.length + SHOWN_LENGTH) };
}

/** A new key, what is stored of it and what is shown of it. */
export const makeKey = (): Secret => make(KEY_PREFIX);

/** The same for an end-user token. */
export const makeToken = (): Secret => make(TOKEN_PREFIX);

/** True when the form and the checksum are right; says nothing about whether the key or token exists. */
export function isWellFormedKey(text: string): boolean {
  const prefix = claimsToBeToken(text) ? TOKEN_PREFIX : KEY_PREFIX;
  if (text.length !== prefix.length + RANDOM_LENGTH + CHECK_LENGTH || !text.startsWith(prefix)) return false;
  const body = text.slice(0, -CHECK_LENGTH);
  return /^[0-9A-Za-z]+$/.test(text.slice(prefix.length)) && checksum(body) === text.slice(-CHECK_LENGTH);
}

/** What the database knows of a key: its SHA-256, by the one-shot function because every relayed call needs it. */
export function hashKey(key: string): string {
  return hash("sha256", key);
}
