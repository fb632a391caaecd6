import { z } from "zod";
import type { Exports } from "../http/exports.ts";
import { ok, route, type Route } from "../http/route.ts";
import type { Ledger } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import { appError } from "../platform/errors.ts";
import type { Pool } from "../platform/postgres.ts";
import { createBills } from "./bills.ts";
import { HISTORY_COLUMNS } from "./columns.ts";
import { createHistory } from "./history.ts";
import {
  balanceView,
  billPage,
  billParams,
  billQuery,
  billView,
  historyExportQuery,
  historyPage,
  historyQuery,
  statsQuery,
  statsView,
} from "./schema.ts";

interface WalletRouteDeps {
  pool: Pool;
  ledger: Pick<Ledger, "balance" | "history">;
  exports: Exports;
  /** Micro-credits per yuan. */
  rate: bigint;
}

/** What is in a wallet, what happened on it, and its bills. Everything is read only. */
export function walletRoutes({ pool, ledger, exports, rate }: WalletRouteDeps): Route[] {
  const bills = createBills({ pool, rate });
  const history = createHistory({ pool, ledger });

  const historyRoute = (path: string, alias?: true) =>
    route({
      method: "get",
      path,
      summary: "What happened on my wallet, newest first",
      tag: "Wallet",
      access: "user",
      ...(alias ? { alias } : {}),
      query: historyQuery,
      responses: { 200: historyPage },
      handler: async ({ principal, query }) => ok(await history.list(principal.walletId, principal.userId, query)),
    });
  const exportRoute = (path: string, alias?: true) =>
    route({
      method: "get",
      path,
      summary: "What happened on my wallet as CSV, oldest first",
      tag: "Wallet",
      access: "user",
      ...(alias ? { alias } : {}),
      query: historyExportQuery,
      produces: "text/csv",
      responses: { 200: z.string() },
      errors: ["rate_limited"],
      handler: async ({ principal: { userId, walletId }, query: { bom, ...filter } }) =>
        exports.csv({
          userId,
          fileName: "transactions.csv",
          columns: HISTORY_COLUMNS,
          pages: history.pages(walletId, filter),
          bom,
        }),
    });

  return [
    route({
      method: "get",
      path: "/api/user/balance",
      summary: "What my wallet holds",
      tag: "Wallet",
      access: "user",
      responses: { 200: balanceView },
      handler: async ({ principal }) => {
        const balance = await ledger.balance(principal.walletId);
        const expiries = balance.sources.flatMap(({ expiresAt }) => (expiresAt ? [expiresAt.getTime()] : []));
        return ok({
          available: formatCredits(balance.available),
          held: formatCredits(balance.held),
          total: formatCredits(balance.total),
          shortfall: formatCredits(balance.shortfall),
          sources: balance.sources.map(({ source, amount, expiresAt }) => ({
            source,
            amount: formatCredits(amount),
            expires_at: expiresAt?.toISOString() ?? null,
          })),
          soonest_expiry: expiries.length > 0 ? new Date(Math.min(...expiries)).toISOString() : null,
        });
      },
    }),
    historyRoute("/api/user/transactions"),
    historyRoute("/api/user/points/history", true),
    exportRoute("/api/user/transactions/export.csv"),
    exportRoute("/api/user/points/history/export.csv", true),
    route({
      method: "get",
      path: "/api/user/billing",
      summary: "My bills, newest first",
      tag: "Wallet",
      access: "user",
      query: billQuery,
      responses: { 200: billPage },
      handler: async ({ principal, query }) => ok(await bills.list(principal.walletId, query)),
    }),
    route({
      method: "get",
      path: "/api/user/billing/stats",
      summary: "Sums of what I paid, by type and month",
      description: "Each payment when it was made, also on bills that are not paid in full; `count` is how many bills were paid on.",
      tag: "Wallet",
      access: "user",
      query: statsQuery,
      responses: { 200: statsView },
      handler: async ({ principal, query }) => ok(await bills.stats(principal.walletId, query)),
    }),
    route({
      method: "get",
      path: "/api/user/billing/:id",
      summary: "One of my bills",
      tag: "Wallet",
      access: "user",
      params: billParams,
      responses: { 200: billView },
      handler: async ({ principal, params }) => {
        const bill = await bills.get(principal.walletId, BigInt(params.id));
        if (!bill) throw appError("not_found", { message: "There is no such bill" });
        return ok(bill);
      },
    }),
  ];
}
