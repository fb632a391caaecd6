import { ok, route, type Route } from "../http/route.ts";
import type { Ledger } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import { appError } from "../platform/errors.ts";
import type { Pool } from "../platform/postgres.ts";
import { createBills } from "./bills.ts";
import { createHistory } from "./history.ts";
import { balanceView, billPage, billParams, billQuery, billView, historyPage, historyQuery, statsQuery, statsView } from "./schema.ts";

interface WalletRouteDeps {
  pool: Pool;
  ledger: Pick<Ledger, "balance" | "history">;
  /** Micro-credits per yuan. */
  rate: bigint;
}

/** What is in a wallet, what happened on it, and its bills. Everything is read only. */
export function walletRoutes({ pool, ledger, rate }: WalletRouteDeps): Route[] {
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
      handler: async ({ principal, query }) => ok(await history(principal.walletId, principal.userId, query)),
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
      summary: "Sums and counts of my completed bills by type and month",
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
