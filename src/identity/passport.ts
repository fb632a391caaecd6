import type { Request } from "express";
import passport from "passport";
import { ExtractJwt, Strategy as JwtStrategy } from "passport-jwt";
import { Strategy as LocalStrategy } from "passport-local";
import type { Authenticate } from "../http/mount.ts";
import type { Principal } from "../http/principal.ts";
import { appError } from "../platform/errors.ts";
import type { CallerKey } from "./caller.ts";
import { claimsToBeKey } from "./keyFormat.ts";
import type { Login } from "./login.ts";
import { checkMaySignIn } from "./sessions.ts";
import { ALGORITHM, AUDIENCE, claimsOf, ISSUER, type AccessClaims, type AccessTokens } from "./tokens.ts";
import type { UserRow } from "./users.ts";

export interface Strategies {
  /** Who sends this request: an API key or an access token; undefined without either, throws for bad ones. */
  authenticate: Authenticate;
  /** The user whose name and password these are; undefined when they are wrong. */
  signIn(req: Request, credentials: { identifier: string; password: string }): Promise<UserRow | undefined>;
}

/** The key of a request: `Authorization: Bearer sk-tk-…` or `x-api-key`. */
export function keyOf(req: Request): string | undefined {
  const bearer = ExtractJwt.fromAuthHeaderAsBearerToken()(req);
  return bearer && claimsToBeKey(bearer) ? bearer : req.get("x-api-key");
}

class ApiKeyStrategy extends passport.Strategy {
  override name = "api-key";
  private readonly find: (key: string) => Promise<CallerKey | undefined>;
  private readonly noteUse: (key: CallerKey, ip: string) => void;

  constructor(find: (key: string) => Promise<CallerKey | undefined>, noteUse: (key: CallerKey, ip: string) => void) {
    super();
    this.find = find;
    this.noteUse = noteUse;
  }

  override authenticate(req: Request): void {
    const key = keyOf(req);
    if (key === undefined) this.fail();
    else
      this.check(key, req.ip ?? "").then(
        (principal) => this.success(principal),
        (error: unknown) => this.error(error),
      );
  }

  private async check(raw: string, ip: string): Promise<Principal> {
    const key = await this.find(raw);
    if (!key) throw appError("unauthenticated", { message: "The API key is not valid" });
    if (key.tokenId !== null) throw appError("forbidden", { message: "End-user tokens are for calls under /v1 only" });
    checkMaySignIn({ status: key.status, suspended_until: key.suspendedUntil }, Date.now());
    if (key.ipList && !key.ipList.has(ip)) throw appError("forbidden", { message: "This key may not be used from this address" });
    this.noteUse(key, ip);
    return key.principal;
  }
}

/** Registers the strategies on a passport instance of our own. No sessions in cookies: every request carries its proof. */
export function createStrategies(deps: {
  login: Login;
  tokens: AccessTokens;
  principalOf: (claims: AccessClaims) => Promise<Principal>;
  authenticateKey: (raw: string) => Promise<CallerKey | undefined>;
  noteUse: (key: CallerKey, ip: string) => void;
}): Strategies {
  const instance = new passport.Passport();

  instance.use(new ApiKeyStrategy(deps.authenticateKey, deps.noteUse));
  instance.use(
    "jwt",
    new JwtStrategy(
      {
        jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
        secretOrKeyProvider: (_req, token: string, done) => done(null, deps.tokens.secretFor(token)),
        algorithms: [ALGORITHM],
        issuer: ISSUER,
        audience: AUDIENCE,
      },
      (payload: unknown, done) => {
        const claims = claimsOf(payload);
        if (!claims) done(null, false);
        else deps.principalOf(claims).then((principal) => done(null, principal), done);
      },
    ),
  );
  instance.use(
    "local",
    new LocalStrategy({ usernameField: "identifier", passReqToCallback: true }, (req, identifier, password, done) => {
      deps.login.byPassword(identifier, password, req.ip ?? "").then((user) => done(null, user ?? false), done);
    }),
  );

  function run<User>(strategies: string[], req: Request): Promise<User | undefined> {
    return new Promise((resolve, reject) => {
      const done = (error: unknown, user?: unknown) => (error ? reject(error as Error) : resolve((user || undefined) as User | undefined));
      const middleware = instance.authenticate(strategies, { session: false }, done) as (
        req: Request,
        res: unknown,
        next: (error?: unknown) => void,
      ) => void;
      middleware(req, undefined, done);
    });
  }

  return {
    async authenticate(req) {
      const principal = await run<Principal>(["api-key", "jwt"], req);
      if (!principal && (req.get("authorization") !== undefined || req.get("x-api-key") !== undefined)) {
        throw appError("unauthenticated", { message: "The access token is not valid or has expired" });
      }
      return principal;
    },
    signIn: (req, credentials) => run<UserRow>(["local"], Object.create(req, { body: { value: credentials } }) as Request),
  };
}
