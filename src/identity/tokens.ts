import jwt from "jsonwebtoken";
import type { NamedSecret } from "../platform/secrets.ts";
import { appError } from "../platform/errors.ts";

export const ISSUER = "tollkeeper";
export const AUDIENCE = "tollkeeper-api";
export const ALGORITHM = "HS256";

/** What an access token says; everything else is read from the session, so that a change counts at once. */
export interface AccessClaims {
  userId: string;
  sessionId: string;
}

export interface AccessTokens {
  sign(claims: AccessClaims): string;
  /** What a live token of ours says; undefined for anything else. */
  read(token: string): AccessClaims | undefined;
  /** The same; throws `unauthenticated` for anything else. */
  verify(token: string): AccessClaims;
  /** The secret a token names in its `kid`, undefined for an unknown one. */
  secretFor(token: string): Buffer | undefined;
  /** Life of an access token in seconds. */
  readonly expiresIn: number;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Reads the claims of a payload whose signature was checked. */
export function claimsOf(payload: unknown): AccessClaims | undefined {
  const { sub, sid } = (payload ?? {}) as { sub?: unknown; sid?: unknown };
  return typeof sub === "string" && typeof sid === "string" && UUID.test(sid) ? { userId: sub, sessionId: sid } : undefined;
}

/** JWTs, HS256 with `kid`; the first secret signs, every one is accepted. Algorithm, issuer and audience are pinned (RFC 8725). */
export function createAccessTokens(options: { secrets: NamedSecret[]; ttlMs: number }): AccessTokens {
  const [current] = options.secrets;
  if (!current) throw new Error("createAccessTokens needs at least one secret");
  const byId = new Map(options.secrets.map(({ id, secret }) => [id, secret]));
  const expiresIn = Math.max(1, Math.round(options.ttlMs / 1_000));

  function secretFor(token: string): Buffer | undefined {
    const header = jwt.decode(token, { complete: true })?.header;
    return header?.kid === undefined ? undefined : byId.get(header.kid);
  }

  function read(token: string): AccessClaims | undefined {
    const secret = secretFor(token);
    if (!secret) return undefined;
    try {
      return claimsOf(jwt.verify(token, secret, { algorithms: [ALGORITHM], issuer: ISSUER, audience: AUDIENCE }));
    } catch {
      return undefined;
    }
  }

  return {
    expiresIn,
    secretFor,
    sign: ({ userId, sessionId }) =>
      jwt.sign({ sid: sessionId }, current.secret, {
        algorithm: ALGORITHM,
        keyid: current.id,
        subject: userId,
        issuer: ISSUER,
        audience: AUDIENCE,
        expiresIn,
      }),
    read,
    verify(token) {
      const claims = read(token);
      if (!claims) throw appError("unauthenticated", { message: "The access token is not valid or has expired" });
      return claims;
    },
  };
}
