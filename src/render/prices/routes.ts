import { z } from "zod";
import { recordAudit } from "../../admin/audit.ts";
import { created, ok, route, type Route } from "../../http/route.ts";
import { creditsInput, creditsText, isoTime, reason } from "../../http/schemas.ts";
import { formatCredits } from "../../platform/credits.ts";
import { appError } from "../../platform/errors.ts";
import { inTransaction, type Pool } from "../../platform/postgres.ts";
import { insertPrice, listPrices, type RenderPrice } from "./repository.ts";

const engine = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, "must be a name such as blender");
const percent = z.number().int().min(1).max(10_000);

const priceBody = z.strictObject({
  per_frame: creditsInput,
  per_megasample: creditsInput.meta({ description: "Credits for a million samples: pixels times samples of a pixel" }),
  per_second: creditsInput.meta({ description: "Credits for a second of rendering" }),
  percent: z.strictObject({ low: percent, normal: percent, high: percent }).default({ low: 80, normal: 100, high: 150 }),
  reason: reason.optional(),
});

const priceView = z.object({
  engine: z.string(),
  version: z.number().int(),
  per_frame: creditsText,
  per_megasample: creditsText,
  per_second: creditsText,
  percent: z.object({ low: z.number(), normal: z.number(), high: z.number() }),
  reason: z.string().nullable(),
  created_at: isoTime,
});
const priceList = z.object({ items: z.array(priceView) });

const present = (price: RenderPrice) => ({
  engine: price.engine,
  version: price.version,
  per_frame: formatCredits(price.perFrame),
  per_megasample: formatCredits(price.perMegasample),
  per_second: formatCredits(price.perSecond),
  percent: price.percent,
  reason: price.reason,
  created_at: price.createdAt.toISOString(),
});

/** What rendering costs: for everybody who renders, and for operators who change it. */
export function renderPriceRoutes({ pool }: { pool: Pool }): Route[] {
  return [
    route({
      method: "get",
      path: "/api/render/prices",
      summary: "Prices of rendering in force, by engine",
      tag: "Render tasks",
      access: "user",
      responses: { 200: priceList },
      handler: async () => ok({ items: (await listPrices(pool)).map(present) }),
    }),
    route({
      method: "get",
      path: "/api/admin/render/prices/:engine",
      summary: "All versions of an engine's prices, newest first",
      tag: "Operators: prices",
      access: "operator",
      params: z.strictObject({ engine }),
      responses: { 200: priceList },
      handler: async ({ params }) => {
        const prices = await listPrices(pool, params.engine);
        if (prices.length === 0) throw appError("not_found", { message: "There is no such engine" });
        return ok({ items: prices.map(present) });
      },
    }),
    route({
      method: "post",
      path: "/api/admin/render/prices/:engine",
      summary: "Set an engine's prices",
      description: "Makes a new version; tasks that were made before are charged by theirs.",
      tag: "Operators: prices",
      access: "operator",
      params: z.strictObject({ engine }),
      body: priceBody,
      responses: { 201: priceView },
      handler: async ({ params, body, principal, traceId }) => {
        const price = await inTransaction(pool, async (tx) => {
          await tx.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`render price ${params.engine}`]);
          const made = await insertPrice(tx, {
            engine: params.engine,
            perFrame: body.per_frame,
            perMegasample: body.per_megasample,
            perSecond: body.per_second,
            percent: body.percent,
            authorId: principal.userId,
            reason: body.reason ?? null,
          });
          const { reason: _said, created_at: _at, ...prices } = present(made);
          const details = { ...prices, reason: body.reason ?? null };
          await recordAudit(tx, {
            actorId: principal.userId,
            action: "render_price.set",
            target: `render_price:${params.engine}`,
            details,
            traceId,
          });
          return made;
        });
        return created(present(price));
      },
    }),
  ];
}
