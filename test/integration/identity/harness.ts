import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:http";
import { createIdentityActivities } from "../../../activities/identity.ts";
import { createSettings, type Settings } from "../../../src/admin/settings/index.ts";
import { userAdminRoutes } from "../../../src/admin/users.ts";
import { loadConfig, type Config } from "../../../src/config/index.ts";
import { createApp } from "../../../src/http/app.ts";
import { createIdempotency } from "../../../src/http/idempotency.ts";
import { createIdentity, type Identity, type IdentityConfig, type RegistrationSteps } from "../../../src/identity/index.ts";
import { startWorker as runWorker } from "../../../src/main/worker-runtime.ts";
import { createLedger, type Ledger } from "../../../src/ledger/index.ts";
import type { Notify } from "../../../src/notify/index.ts";
import type { Clock } from "../../../src/platform/clock.ts";
import { formatCredits } from "../../../src/platform/credits.ts";
import { createInvalidation, type Invalidation } from "../../../src/platform/invalidation.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createPool, type Pool } from "../../../src/platform/postgres.ts";
import { createSequelize } from "../../../src/platform/sequelize.ts";
import { createRewards, rewardSettings, type Rewards } from "../../../src/rewards/index.ts";
import { createTemporalLink, type TemporalLink } from "../../../src/platform/temporal.ts";
import { request, unique, type Answer } from "../../support/people.ts";
import { waitFor, type Places } from "../../support/stack.ts";

/** The identity domain behind real HTTP, with a real Postgres and, when asked, a real Temporal worker. Mails are collected. */

type Mail = Parameters<Notify["email"]>[0];

export interface Rig {
  api: string;
  pool: Pool;
  ledger: Ledger;
  identity: Identity;
  rewards: Rewards;
  settings: Settings;
  temporal: TemporalLink;
  invalidation: Invalidation;
  mails: Mail[];
  /** What the clock of sessions and codes adds to the real time. */
  clock: Clock & { aheadMs: number };
  admin: { id: string; email: string; token: string };
  call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    token?: string,
    headers?: Record<string, string>,
  ): Promise<Answer<T>>;
  /** The newest mail of a kind to an address, as soon as it is there. */
  mail(to: string, template: Mail["template"], after?: number): Promise<Mail>;
  close(): Promise<void>;
}

export const PASSWORD = "correct horse battery staple 9";
const ADMIN = { ADMIN_EMAIL: "root@example.com", ADMIN_PASSWORD: "a first password 1" };

export interface RigOptions {
  worker?: boolean;
  settings?: Partial<IdentityConfig & Pick<Config, "WELCOME_CREDITS">>;
  temporalAddress?: string;
  notify?: (mails: Mail[]) => Pick<Notify, "email">;
}

function configOf(places: Places, settings: NonNullable<RigOptions["settings"]>): Config {
  const config = loadConfig({
    NODE_ENV: "test",
    DATABASE_URL: places.databaseUrl,
    REDIS_URL: places.redisUrl,
    TEMPORAL_ADDRESS: places.temporalAddress,
    JWT_SECRETS: `new:${"n".repeat(40)},old:${"o".repeat(40)}`,
    HASH_SECRET: "h".repeat(40),
    ENCRYPTION_KEYS: `k:${Buffer.alloc(32, 1).toString("base64")}`,
    ...ADMIN,
  });
  return { ...config, ...settings };
}

export async function identityRig(places: Places, options: RigOptions = {}): Promise<Rig> {
  const log = createLogger({ level: "silent", name: "test" });
  const config = configOf(places, options.settings ?? {});
  const mails: Mail[] = [];
  const sent = new Set<string>();
  const collect: Pick<Notify, "email"> = {
    async email(mail) {
      if (!sent.has(mail.id)) mails.push(mail);
      sent.add(mail.id);
    },
  };
  const clock = { aheadMs: 0, now: () => new Date(Date.now() + clock.aheadMs) };
  const pool = createPool({ url: places.databaseUrl, max: 10, name: "test", log });
  const sequelize = createSequelize({ url: places.databaseUrl, max: 4 });
  const invalidation = createInvalidation({ url: places.databaseUrl, log });
  const temporal = createTemporalLink({
    address: options.temporalAddress ?? places.temporalAddress,
    namespace: places.namespace,
    uiUrl: "http://ui",
    log,
  });
  const ledger = createLedger({ pool, log, tolerance: { percent: 10, micro: 0n } });
  const notify = options.notify?.(mails) ?? collect;
  const fallbacks = { "welcome.credits": formatCredits(config.WELCOME_CREDITS) };
  const settings = createSettings({ pool, invalidation, log, groups: rewardSettings, fallbacks });
  const rewards = createRewards({ pool, ledger, settings, getUser: (id) => identity.getUser(id), log, clock });
  const identity: Identity = createIdentity({ pool, sequelize, config, ledger, notify, temporal, invalidation, rewards, log, clock });
  await invalidation.start();
  await identity.ensureFirstAdmin();
  const stopWorker = options.worker ? startWorker(places, temporal, identity.registrationSteps) : async () => undefined;

  const server = await listen(
    createApp({
      log,
      routes: [...identity.routes, ...userAdminRoutes(identity.users), ...rewards.routes],
      documented: [],
      relay: () => false,
      pages: [],
      authenticate: identity.authenticate,
      idempotency: createIdempotency(pool),
      trustProxy: 1,
      corsOrigins: [],
      publicUrl: config.PUBLIC_URL,
      version: "test",
    }),
  );
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const call: Rig["call"] = (method, path, body, token, headers) =>
    request(api, method, path, { ...(body === undefined ? {} : { body }), ...(token ? { token } : {}), ...(headers ? { headers } : {}) });
  const signedIn = await call<{ access_token: string; user: { id: string } }>("POST", "/api/auth/login", {
    email: ADMIN.ADMIN_EMAIL,
    password: ADMIN.ADMIN_PASSWORD,
  });

  return {
    api,
    pool,
    ledger,
    identity,
    rewards,
    settings,
    temporal,
    invalidation,
    mails,
    clock,
    call,
    admin: { id: signedIn.body.data.user.id, email: ADMIN.ADMIN_EMAIL, token: signedIn.body.data.access_token },
    mail: (to, template, after = 0) =>
      waitFor(() => mails.slice(after).findLast((mail) => mail.to === to && mail.template === template), {
        message: `a mail ${template} to ${to}`,
        timeoutMs: 20_000,
      }),
    async close() {
      server.closeAllConnections();
      server.close();
      await stopWorker();
      await temporal.close();
      await invalidation.stop();
      await sequelize.close();
      const proof = await ledger.verify();
      await ledger.close();
      await pool.end();
      if (!proof.balanced) throw new Error("the ledger is not balanced");
    },
  };
}

/** A worker with the activities of identity alone; returns how to stop it. */
export function startWorker(places: Places, temporal: TemporalLink, steps: RegistrationSteps): () => Promise<void> {
  const worker = runWorker({
    address: places.temporalAddress,
    namespace: places.namespace,
    taskQueue: "billing",
    activities: createIdentityActivities({ registrationSteps: steps }),
    client: temporal.client,
    graceMs: 1_000,
    log: createLogger({ level: "silent", name: "test" }),
  });
  return () => worker.stop();
}

function listen(app: Parameters<typeof createServer>[1]): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer(app!).listen(0, "127.0.0.1", () => resolve(server));
  });
}

export interface Tokens {
  access_token: string;
  token: string;
  refresh_token: string;
  token_type: string;
  expires_in: number;
  user: { id: string; email: string; username: string; roles: string[]; status: string; email_verified: boolean };
}

/** A verified user made by the operator, signed in. */
export async function member(
  rig: Rig,
  more: Record<string, unknown> = {},
): Promise<{ id: string; email: string; username: string; tokens: Tokens }> {
  const email = `${unique("grace")}@example.com`;
  const made = await rig.call<{ id: string; username: string }>(
    "POST",
    "/api/admin/users",
    { email, password: PASSWORD, ...more },
    rig.admin.token,
  );
  if (made.status !== 201) throw new Error(JSON.stringify(made.body));
  const login = await rig.call<Tokens>("POST", "/api/auth/login", { email, password: PASSWORD });
  return { id: made.body.data.id, email, username: made.body.data.username, tokens: login.body.data };
}

export const codeIn = (mail: Mail): string => mail.data["code"]!;
export const tokenIn = (mail: Mail): string => new URL(mail.data["link"]!).searchParams.get("token")!;
