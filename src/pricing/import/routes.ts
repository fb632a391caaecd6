import { stringify } from "csv-stringify/sync";
import { z } from "zod";
import { ok, rawRoute, route, type Route } from "../../http/route.ts";
import type { Pool } from "../../platform/postgres.ts";
import { presentModel } from "../present.ts";
import { allModels, type ModelRecord } from "../repository.ts";
import { COLUMNS, READ_ONLY } from "./columns.ts";
import { createPriceImport, type ImportOutcome } from "./import.ts";
import type { PlannedRow } from "./plan.ts";
import { csvRows, jsonRows } from "./rows.ts";

const TAG = "Models and prices";

const importQuery = z.strictObject({
  dry_run: z.enum(["true", "false"]).default("true").meta({ description: "false changes the prices; anything else only looks" }),
  revision: z.string().max(64).optional().meta({ description: "That of the preview; needed to change something" }),
  reason: z.string().trim().min(1).max(500).optional(),
});
const entry = z.record(z.string(), z.unknown());
/** A text is CSV. */
const importBody = z
  .union([z.string(), z.array(entry), z.strictObject({ models: z.array(entry) })])
  .meta({ description: "A list of models in the shape of POST /api/admin/models, or CSV with those names as its heading" });

const change = z.object({ field: z.string(), from: z.unknown(), to: z.unknown() });
const row = { line: z.number().int(), model: z.string() };
const importView = z.object({
  dry_run: z.boolean(),
  applied: z.boolean(),
  revision: z.string(),
  summary: z.object({ added: z.number(), changed: z.number(), unchanged: z.number(), invalid: z.number() }),
  added: z.array(z.object({ ...row, changes: z.array(change) })),
  changed: z.array(z.object({ ...row, changes: z.array(change) })),
  unchanged: z.array(z.object(row)),
  invalid: z.array(
    z.object({
      line: z.number().int(),
      model: z.string().nullable(),
      problems: z.array(z.object({ field: z.string(), message: z.string() })),
    }),
  ),
});

function view({ revision, plan }: ImportOutcome, dryRun: boolean) {
  const rowView = ({ line, model, changes }: PlannedRow) => ({ line, model, changes });
  const { added, changed, unchanged, invalid } = plan;
  return {
    dry_run: dryRun,
    applied: !dryRun && added.length + changed.length > 0,
    revision,
    summary: { added: added.length, changed: changed.length, unchanged: unchanged.length, invalid: invalid.length },
    added: added.map(rowView),
    changed: changed.map(rowView),
    unchanged: unchanged.map(({ line, model }) => ({ line, model })),
    invalid,
  };
}

/** Every model in the columns of an import, so that an export that is imported changes nothing. */
function csvOf(models: readonly ModelRecord[]): string {
  const columns = [...Object.keys(COLUMNS), ...READ_ONLY];
  const rows = models.map((model) => ({ ...presentModel(model), aliases: model.aliases.join(" ") }));
  return stringify(rows, { header: true, columns, escape_formulas: true });
}

/** Operators' routes of price lists: import with a preview, and export. */
export function priceListRoutes(deps: { pool: Pool; changed: () => void }): Route[] {
  const prices = createPriceImport(deps);
  return [
    route({
      method: "post",
      path: "/api/admin/prices/import",
      summary: "Import a price list, or see what it would change",
      description:
        "CSV or JSON. A preview lists what would be added and changed, old and new, and the rows that are not valid. Changing is all or " +
        "nothing and takes the revision of a preview; it is refused when prices, models or the list have changed since. What a row leaves " +
        "out stays; `null` in a cell takes an optional price away.",
      tag: TAG,
      access: "operator",
      csv: true,
      query: importQuery,
      body: importBody,
      responses: { 200: importView },
      errors: ["conflict"],
      handler: async ({ query, body, principal, traceId }) => {
        const rows = typeof body === "string" ? csvRows(body) : jsonRows(Array.isArray(body) ? body : body.models);
        const dryRun = query.dry_run === "true";
        const outcome = dryRun
          ? await prices.preview(rows)
          : await prices.apply(rows, { revision: query.revision, reason: query.reason ?? null }, { userId: principal.userId, traceId });
        return ok(view(outcome, dryRun));
      },
    }),
    rawRoute({
      method: "get",
      path: "/api/admin/prices/export.csv",
      summary: "Every model and its prices as CSV, in the columns of an import",
      tag: TAG,
      access: "operator",
      produces: "text/csv",
      responses: { 200: z.string() },
      async handler(_req, res) {
        res.setHeader("content-disposition", 'attachment; filename="prices.csv"');
        res.type("text/csv").send(csvOf(await allModels(deps.pool)));
      },
    }),
  ];
}
