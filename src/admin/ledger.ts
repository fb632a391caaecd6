import { z } from "zod";
import { ok, route, type Route } from "../http/route.ts";
import { isoTime, pageOf, pageQuery } from "../http/schemas.ts";
import type { Ledger } from "../ledger/index.ts";

const TAG = "Operators: ledger";
const difference = z.object({ check: z.string(), subject: z.string(), expected: z.string(), found: z.string() });
const proof = z.object({
  balanced: z.boolean(),
  accounts: z.number().int(),
  transfers: z.number().int(),
  differences: z.array(difference),
});
const incident = z.object({
  id: z.string(),
  kind: z.string(),
  reference: z.string(),
  details: z.record(z.string(), z.unknown()),
  at: isoTime,
});

/** The ledger's proof and what it noted for operators. */
export function ledgerRoutes(ledger: Pick<Ledger, "verify" | "incidents">): Route[] {
  return [
    route({
      method: "get",
      path: "/api/admin/ledger/verify",
      summary: "Prove the ledger",
      description:
        "Proves from one snapshot that the balances of each asset sum to 0, that every balance is the sum of its transfers, every held amount " +
        "the sum of its open holds and every wallet the sum of its grants. What differs is named.",
      tag: TAG,
      access: "operator",
      responses: { 200: proof },
      handler: async () => {
        const found = await ledger.verify();
        return ok(found, found.balanced ? "The ledger is balanced" : "The ledger is NOT balanced");
      },
    }),
    route({
      method: "get",
      path: "/api/admin/ledger/incidents",
      summary: "Holds whose call vanished and costs that could not be charged, newest first",
      tag: TAG,
      access: "operator",
      query: z.strictObject(pageQuery),
      responses: { 200: pageOf(incident) },
      handler: async ({ query }) => {
        const { items, total } = await ledger.incidents({ page: query.page, pageSize: query.page_size });
        return ok({
          items: items.map((item) => ({ ...item, id: String(item.id), at: item.at.toISOString() })),
          total,
          page: query.page,
          page_size: query.page_size,
        });
      },
    }),
  ];
}
