import { z } from "zod";
import { rawRoute, type Route } from "../../http/route.ts";
import { servedByRelay } from "../formats/documentation.ts";

const shared = { method: "get", tag: "Relay", access: "api_key", errors: ["rate_limited"], handler: servedByRelay } as const;

const about = (path: string, alias: boolean): Route[] => [
  rawRoute({
    ...shared,
    errors: [...shared.errors],
    path: `${path}/subscription`,
    alias,
    summary: "The wallet, as chat clients read it: limit",
    description: "`hard_limit_usd` is what was spent and what is left together. A key with spend limits sees its own.",
    responses: { 200: z.looseObject({ object: z.string(), hard_limit_usd: z.number(), access_until: z.number() }) },
  }),
  rawRoute({
    ...shared,
    errors: [...shared.errors],
    path: `${path}/usage`,
    alias,
    summary: "The wallet, as chat clients read it: spent",
    description: "`total_usage` is in cents and holds everything, whatever dates are asked for.",
    query: z.object({ start_date: z.string().optional(), end_date: z.string().optional() }),
    responses: { 200: z.looseObject({ object: z.string(), total_usage: z.number() }) },
  }),
];

export const billingDocs = [...about("/v1/dashboard/billing", false), ...about("/dashboard/billing", true)];
