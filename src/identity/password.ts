import { hash, verify } from "@node-rs/argon2";
import { ZxcvbnFactory } from "@zxcvbn-ts/core";
import * as common from "@zxcvbn-ts/language-common";
import { fieldError } from "../platform/errors.ts";

/** OWASP's first choice for argon2id: 19 MiB, 2 passes, 1 lane. */
const ARGON2ID = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
export const PASSWORD_MAX = 256;
const LONG_ENOUGH = 10;
const STRONG_ENOUGH = 3;

let zxcvbn: ZxcvbnFactory | undefined;
/** Made when first needed: its dictionaries are large. */
function strengthOf(password: string, names: string[]): number {
  zxcvbn ??= new ZxcvbnFactory({ dictionary: common.dictionary, graphs: common.adjacencyGraphs });
  return zxcvbn.check(password.slice(0, 100), names).score;
}

/**
 * The password policy: at least 10 characters or a zxcvbn score of 3, and never the person's own e-mail address or name.
 * Throws `validation_failed` naming `field`.
 */
export function checkPassword(password: string, person: { email: string; names: (string | null | undefined)[] }, field = "password"): void {
  const lower = password.toLowerCase();
  const names = [person.email, person.email.split("@")[0], ...person.names]
    .filter((name): name is string => Boolean(name))
    .map((name) => name.toLowerCase());
  if (names.includes(lower)) throw fieldError(field, "must not be your e-mail address or name");
  if (new Set(lower).size < 4) throw fieldError(field, "is too simple");
  if (password.length < LONG_ENOUGH && strengthOf(password, names) < STRONG_ENOUGH) {
    throw fieldError(field, `is too weak: use at least ${LONG_ENOUGH} characters`);
  }
}

/** argon2id in PHC form. */
export function hashPassword(password: string): Promise<string> {
  return hash(password, ARGON2ID);
}

let dummy: Promise<string> | undefined;

/** Checks a password; without a stored hash it does the same work and answers false, so that time tells nothing. */
export async function verifyPassword(stored: string | null | undefined, password: string): Promise<boolean> {
  dummy ??= hash("no password is this one", ARGON2ID);
  const matches = await verify(stored ?? (await dummy), password);
  return matches && stored !== null && stored !== undefined;
}
