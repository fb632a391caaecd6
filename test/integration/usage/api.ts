import http from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import { createExports, type Exports } from "../../../src/http/exports.ts";
import { createIdempotency } from "../../../src/http/idempotency.ts";
import { mountRoutes } from "../../../src/http/mount.ts";
import type { Role } from "../../../src/http/principal.ts";
import type { Route } from "../../../src/http/route.ts";
import { createSlots } from "../../../src/http/slots.ts";
import { traceRequests } from "../../../src/http/trace.ts";
import { MICRO } from "../../../src/platform/credits.ts";
import { createSequelize } from "../../../src/platform/sequelize.ts";
import { usageRoutes, type UsageRouteDeps } from "../../../src/usage/routes.ts";
import { walletRoutes } from "../../../src/wallet/index.ts";
import { silent, usageRig, type UsageRig } from "../../support/usage.ts";

/** Keeps a byte order mark, which `text()` would drop. */
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Somebody with a wallet. */
export interface Owner {
  userId: string;
  walletId: bigint;
}

export interface Answer<Data = unknown> {
  status: number;
  data: Data;
  error?: { code: string; details: unknown };
}

/** The routes of usage and wallet over a rig, each request as whoever the test says. */
export interface UsageApi {
  rig: UsageRig;
  url: string;
  headers(owner: Owner, role?: Role): Record<string, string>;
  get<Data = unknown>(path: string, owner: Owner, role?: Role): Promise<Answer<Data>>;
  text(path: string, owner: Owner, role?: Role): Promise<{ status: number; type: string; body: string }>;
  /** Records and settles calls, each held for. */
  settle(calls: Parameters<UsageRig["call"]>[]): Promise<string[]>;
  close(): Promise<void>;
}

export interface UsageApiOptions {
  databaseUrl: string;
  timeZone?: string;
  exports?: Exports;
  more?: (rig: UsageRig) => Route[];
  deps?: Partial<UsageRouteDeps>;
}

export async function startUsageApi(options: UsageApiOptions): Promise<UsageApi> {
  const rig = usageRig({ url: options.databaseUrl });
  const sequelize = createSequelize({ url: options.databaseUrl, max: 4 });
  const { exports = createExports(), timeZone = "UTC" } = options;
  const app = express();
  app.set("query parser", "simple");
  app.use(traceRequests);
  const routes = [
    ...usageRoutes({
      sequelize,
      pool: rig.pool,
      exports,
      ledger: rig.ledger,
      keyLimits: async () => undefined,
      keyNames: async () => new Map(),
      timeZoneOf: async () => timeZone,
      reportPool: rig.pool,
      reporting: createSlots("statistics", { perUser: 6, total: 24 }),
      pricing: { models: async () => [] },
      routesOf: async () => new Set<string>(),
      rates: { CREDITS: MICRO },
      ...options.deps,
    }),
    ...walletRoutes({ pool: rig.pool, ledger: rig.ledger, exports, rate: 10n * MICRO }),
    ...(options.more?.(rig) ?? []),
  ];
  app.use(
    mountRoutes(routes, {
      idempotency: createIdempotency(rig.pool),
      authenticate: async (req) => ({
        userId: req.get("x-user")!,
        walletId: BigInt(req.get("x-wallet")!),
        roles: [req.get("x-role") as Role],
        emailVerified: true,
        sessionId: "test",
      }),
    }),
  );
  app.use(errorHandler(silent));
  const server = http.createServer(app).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const headers = (owner: Owner, role: Role = "user") => ({
    "x-user": owner.userId,
    "x-wallet": owner.walletId.toString(),
    "x-role": role,
  });
  return {
    rig,
    url,
    headers,
    async get<Data>(path: string, owner: Owner, role?: Role) {
      const answer = await fetch(url + path, { headers: headers(owner, role) });
      return { status: answer.status, ...((await answer.json()) as Omit<Answer<Data>, "status">) };
    },
    async text(path, owner, role) {
      const answer = await fetch(url + path, { headers: headers(owner, role) });
      return { status: answer.status, type: answer.headers.get("content-type") ?? "", body: utf8.decode(await answer.arrayBuffer()) };
    },
    async settle(calls) {
      const ids: string[] = [];
      for (const call of calls) {
        const event = await rig.call(...call);
        await rig.usage.record(event);
        await rig.settlement.settleNow(event.id);
        ids.push(event.id);
      }
      return ids;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await sequelize.close();
      await rig.close();
    },
  };
}
