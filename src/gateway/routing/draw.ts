/** 32-bit FNV-1a over the characters' codes. */
export function hashText(text: string, seed = 0x811c9dc5): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Spreads two hashes over (0, 1): the last steps of MurmurHash3. */
function unit(a: number, b: number): number {
  let hash = Math.imul(a ^ Math.imul(b, 0x9e3779b1), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) + 0.5) / 2 ** 32;
}

/** What calls of one conversation have in common, apart from everybody else's who chose the same name. */
export const sessionHash = (accountId: string, session: string): number => hashText(session, hashText(`${accountId}\0`));

/** What all calls of an account have in common that build on what a provider keeps: its answers lie with the key that made them. */
export const keeperHash = (accountId: string): number => hashText(accountId);

/**
 * The lot of one of several equals; the lowest wins, and each wins in proportion to its weight (−ln(u)/weight: Efraimidis and Spirakis
 * 2006). With a session `u` is a hash of it and the candidate (weighted rendezvous hashing), so that it falls on the same one again, and
 * when that one is gone only its sessions move. A weight of 0 comes last.
 */
export function lot(weight: number, u: number): number {
  return weight > 0 ? -Math.log(u) / weight : Number.MAX_VALUE * u;
}

/** The `u` of a session and a candidate, the same in every copy. */
export const sessionLot = (session: number, candidateHash: number): number => unit(session, candidateHash);
