import type { Sequelize } from "sequelize";
import { createBus, type Bus } from "../activity/index.ts";
import type { Config } from "../config/index.ts";
import type { Authenticate } from "../http/mount.ts";
import type { Principal } from "../http/principal.ts";
import type { Route } from "../http/route.ts";
import type { Ledger } from "../ledger/index.ts";
import type { Notify } from "../notify/index.ts";
import { systemClock, type Clock } from "../platform/clock.ts";
import { appError } from "../platform/errors.ts";
import type { Invalidation } from "../platform/invalidation.ts";
import type { Logger } from "../platform/logger.ts";
import { createMetrics, type Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import type { TemporalLink } from "../platform/temporal.ts";
import { accountLimits, createTiers, type Limits, type LimitZone, type SpendLimits, type Terms, type Tiers } from "../quotas/index.ts";
import type { Rewards } from "../rewards/index.ts";
import { avatarRoutes, type Avatars } from "./avatarRoutes.ts";
import { createChanges } from "./changes.ts";
import { CODE_TRIES, createEmailCodes } from "./emailCodes.ts";
import { createEmailSends } from "./emailSends.ts";
import { createEndUserTokens } from "./endUserTokens.ts";
import { ensureAdmin } from "./firstAdmin.ts";
import type { CallerKey } from "./caller.ts";
import { createKeyAuthenticator } from "./keyCache.ts";
import { createApiKeys } from "./keys.ts";
import { createLastUsed } from "./lastUsed.ts";
import { createLockout } from "./lockout.ts";
import { createLogin } from "./login.ts";
import { countSignIns } from "./metrics.ts";
import { defineIdentityModels } from "./models.ts";
import { createStrategies } from "./passport.ts";
import { payingAccounts, type PayingAccount } from "./payers.ts";
import { createPriceClasses, type PriceClasses } from "./priceClass.ts";
import { createPrincipals } from "./principals.ts";
import { createRegistrationWorkflows } from "./registration.ts";
import { createRegistrationSteps, type RegistrationSteps } from "./registrationSteps.ts";
import { identityRoutes } from "./routes.ts";
import { createSessionCallers } from "./sessionCallers.ts";
import { createSessions, livingSessions } from "./sessions.ts";
import { limitsOf } from "./limitsOf.ts";
import { spendOf } from "./spendOf.ts";
import { createSignUp } from "./signUp.ts";
import { createAccessTokens } from "./tokens.ts";
import { createUserAdmin, type UserAdmin } from "./userAdmin.ts";
import { findUser, presentUser, type Locale, type UserView } from "./users.ts";
import { zoneOf, type ZoneRow } from "./zone.ts";

export type { CallerKey } from "./caller.ts";
export { claimsToBeAccessToken } from "./sessionCallers.ts";
export type { PriceClass, PriceClasses } from "./priceClass.ts";
export { activePeople, giveTier, signInFailures } from "./standing.ts";
export type { RegistrationSteps } from "./registrationSteps.ts";
export { ensureAdmin } from "./firstAdmin.ts";
export type { UserAdmin } from "./userAdmin.ts";
export * as identitySchema from "./schema.ts";
export type { Locale, UserView } from "./users.ts";

/** People: who somebody is, what he may do, and how he proves it. */
export interface Identity {
  /** Throws `unauthenticated` or `account_suspended`. */
  authenticateToken(jwt: string): Promise<Principal>;
  /** Whose session this is, now, for what outlives an access token. Throws like {@link Identity.authenticateToken}. */
  principalOf(userId: string, sessionId: string): Promise<Principal>;
  /** Those of these sessions that have not ended, of people who may sign in now. */
  livingSessions(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** undefined for an unknown, revoked or expired key; rejects when Postgres is needed and away. Cheap: see keyCache.ts. */
  authenticateKey(raw: string, options?: { known: boolean }): Promise<CallerKey | undefined>;
  /** Whose calls come with an access token; undefined for a bad one. As cheap: see sessionCallers.ts. */
  authenticateSession(jwt: string): Promise<CallerKey | undefined>;
  /** Notes that a key, or a token of it, was used from an address; nobody waits for it to be written. */
  noteUse(caller: CallerKey, ip: string): void;
  /** For HTTP routes: by API key or access token, through passport. */
  authenticate: Authenticate;
  getUser(id: string): Promise<UserView | undefined>;
  /** Where mails to somebody go. */
  contact(userId: string): Promise<{ email: string; locale: Locale; name: string } | undefined>;
  /** Signs in by password, for pages that keep the token in a cookie. Throws like the sign-in route. */
  signInByPassword(identifier: string, password: string, ip: string): Promise<{ accessToken: string; expiresIn: number }>;
  /** The limits that count for a key, also a revoked one; undefined when it is not this user's. */
  keyLimits(userId: string, keyId: string): Promise<{ zone: LimitZone; key: Limits; account: Limits } | undefined>;
  /** Names of somebody's keys by id, revoked ones included. */
  keyNames(userId: string): Promise<ReadonlyMap<string, string>>;
  /** The time zone of somebody's profile. Throws `unauthenticated` when there is nobody. */
  timeZoneOf(userId: string): Promise<string>;
  /** Makes the first operator named by ADMIN_EMAIL, if it is set; safe with several copies. */
  ensureFirstAdmin(): Promise<void>;
  routes: Route[];
  /** Routes of people's pictures, which are files. */
  avatarRoutes(avatars: Avatars): Route[];
  /** Ends the session of a refresh token, also one that has been used; false when there is none that lives. */
  endSession(refreshToken: string): Promise<boolean>;
  /** Forgets end-user tokens that ended long ago. */
  forgetTokens(): Promise<number>;
  /** For operators' routes. */
  users: UserAdmin;
  tiers: Tiers;
  priceClasses: PriceClasses;
  /** What an account's tier, plan and own limits come to. */
  limitsOf(userId: string): Promise<Limits>;
  /** What calls of somebody would be held against beside the wallet; null for nothing. */
  spendOf(who: Pick<Principal, "userId" | "apiKeyId">): Promise<SpendLimits | null>;
  /** Who pays for what accounts used, whatever their status; those that are not there are left out. */
  payingAccounts: (ids: readonly string[]) => Promise<PayingAccount[]>;
  /** For the activities of a worker. */
  registrationSteps: RegistrationSteps;
  /** Resolves when no mail is on its way to its queue and the last uses of keys are written; for a clean stop. */
  idle(): Promise<void>;
}

export type IdentityConfig = Pick<
  Config,
  | "JWT_SECRETS"
  | "HASH_SECRET"
  | "ACCESS_TOKEN_TTL"
  | "REFRESH_TOKEN_TTL"
  | "CODE_TTL"
  | "CODE_RESEND_AFTER"
  | "CODE_DAILY_CAP"
  | "LINK_TTL"
  | "REQUESTS_PER_MINUTE"
  | "PUBLIC_URL"
  | "ADMIN_EMAIL"
  | "ADMIN_PASSWORD"
>;

export interface IdentityDeps {
  pool: Pool;
  sequelize: Sequelize;
  config: IdentityConfig;
  ledger: Pick<Ledger, "ensureWallet" | "credit" | "debit" | "budgets">;
  notify: Pick<Notify, "email">;
  temporal: TemporalLink;
  invalidation: Invalidation;
  rewards: Pick<Rewards, "welcome" | "referrals">;
  log: Logger;
  metrics?: Metrics;
  events?: Bus;
  clock?: Clock;
}

/** Puts the domain together. Opens nothing; `invalidation` is started by its owner. */
export function createIdentity(deps: IdentityDeps): Identity {
  const { pool, ledger, notify, invalidation, rewards, log, config, clock = systemClock, metrics = createMetrics() } = deps;
  const { events = createBus() } = deps;
  const { emit } = events;
  countSignIns(metrics, events);
  const hashSecret = config.HASH_SECRET;
  const models = defineIdentityModels(deps.sequelize);
  const changes = createChanges(invalidation);
  const tiers = createTiers({ pool, invalidation, requestsPerMinute: config.REQUESTS_PER_MINUTE });
  const tokens = createAccessTokens({ secrets: config.JWT_SECRETS, ttlMs: config.ACCESS_TOKEN_TTL });
  const sessions = createSessions({ pool, tokens, changes, clock, emit, refreshTtlMs: config.REFRESH_TOKEN_TTL });
  const principalOf = createPrincipals({ pool, changes });
  const authenticateKey = createKeyAuthenticator({ pool, tiers, changes });
  const codes = createEmailCodes({ pool, notify, clock, log, hashSecret, ttlMs: config.CODE_TTL });
  const login = createLogin({ pool, codes, lockout: createLockout({ pool }), emit });
  const lastUsed = createLastUsed({ pool, log });
  const noteUse = ({ keyId }: CallerKey, ip: string): void => {
    if (keyId !== null) lastUsed.note(keyId, ip);
  };
  const strategies = createStrategies({ login, tokens, principalOf, authenticateKey, noteUse });
  const workflows = createRegistrationWorkflows({
    temporal: deps.temporal,
    settings: {
      codeTtlMs: config.CODE_TTL,
      linkTtlMs: config.LINK_TTL,
      resendAfterMs: config.CODE_RESEND_AFTER,
      maxTries: CODE_TRIES,
      welcome: true,
    },
  });
  const signUp = createSignUp({
    pool,
    ledger,
    codes,
    sends: createEmailSends({ pool, clock, resendAfterMs: config.CODE_RESEND_AFTER, dailyCap: config.CODE_DAILY_CAP }),
    workflows,
    changes,
    emit,
    referrals: rewards.referrals,
    hashSecret,
    codeTtlMs: config.CODE_TTL,
    resendAfterMs: config.CODE_RESEND_AFTER,
  });
  const apiKeys = createApiKeys({ sequelize: deps.sequelize, models, changes });
  const endUserTokens = createEndUserTokens({ pool, ledger, changes });
  const ownsKey = async (userId: string, keyId: string): Promise<boolean> => {
    const { rowCount } = await pool.query("SELECT FROM api_keys WHERE id = $1 AND user_id = $2", [keyId, userId]);
    return rowCount === 1;
  };

  return {
    authenticateToken: async (token) => principalOf(tokens.verify(token)),
    principalOf: (userId, sessionId) => principalOf({ userId, sessionId }),
    livingSessions: (ids) => livingSessions(pool, ids),
    authenticateKey,
    authenticateSession: createSessionCallers({ pool, tiers, tokens, changes }),
    noteUse,
    authenticate: strategies.authenticate,
    async getUser(id) {
      const user = await findUser(pool, id);
      return user && presentUser(user);
    },
    async contact(userId) {
      const user = await findUser(pool, userId);
      return user && { email: user.email, locale: user.locale, name: user.display_name ?? user.username };
    },
    async signInByPassword(identifier, password, ip) {
      const user = await login.byPassword(identifier, password, ip);
      if (!user) throw appError("invalid_credentials");
      const session = await sessions.open(user, { ip, userAgent: "operators' pages" });
      return { accessToken: session.access_token, expiresIn: session.expires_in };
    },
    async keyLimits(userId, keyId) {
      const { rows } = await pool.query<ZoneRow & { limits: Limits; own: Limits; tier: string; terms: Terms[] | null }>(
        "SELECT k.limits, u.limits AS own, u.tier, u.time_zone, u.zone_before, quota_terms(u.id) AS terms FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.id = $1 AND u.id = $2",
        [keyId, userId],
      );
      const row = rows[0];
      if (!row) return undefined;
      const { tier, book } = await tiers.givenFor(row.tier);
      const account = accountLimits({ terms: row.terms ?? book.standard, book, tier, own: row.own }, Date.now());
      return { zone: zoneOf(row), key: row.limits, account };
    },
    async keyNames(userId) {
      const { rows } = await pool.query<{ id: string; name: string }>("SELECT id, name FROM api_keys WHERE user_id = $1", [userId]);
      return new Map(rows.map(({ id, name }) => [id, name]));
    },
    async timeZoneOf(userId) {
      const user = await findUser(pool, userId);
      if (!user) throw appError("unauthenticated");
      return user.time_zone;
    },
    async ensureFirstAdmin() {
      if (!config.ADMIN_EMAIL || !config.ADMIN_PASSWORD) return;
      const outcome = await ensureAdmin({ pool, ledger }, { email: config.ADMIN_EMAIL, password: config.ADMIN_PASSWORD });
      if (outcome !== "unchanged") log.info({ outcome }, "the first operator is ready");
    },
    routes: identityRoutes({ pool, models, signUp, login, sessions, strategies, apiKeys, endUserTokens, ownsKey, changes, emit }),
    avatarRoutes: (avatars) => avatarRoutes({ pool }, avatars),
    endSession: (refreshToken) => sessions.revokeByToken(refreshToken),
    forgetTokens: () => endUserTokens.forget(),
    users: createUserAdmin({ pool, models, ledger, tiers, changes, emit }),
    tiers,
    priceClasses: createPriceClasses({ pool, changes }),
    limitsOf: (userId) => limitsOf({ pool, tiers }, userId),
    spendOf: (principal) => spendOf({ pool, tiers }, principal),
    payingAccounts: (ids) => payingAccounts(pool, ids),
    registrationSteps: createRegistrationSteps({
      pool,
      ledger,
      notify,
      rewards,
      hashSecret,
      publicUrl: config.PUBLIC_URL,
    }),
    async idle() {
      await Promise.all([codes.idle(), lastUsed.flush()]);
    },
  };
}
