import { CsvError, parse } from "csv-parse/sync";
import { z } from "zod";
import { created, ok, route, type Route } from "../../http/route.ts";
import { isoTime, line, pageOf, pageQuery } from "../../http/schemas.ts";
import { appError, fieldError } from "../../platform/errors.ts";
import type { Mappings } from "./users.ts";

const COMMON = { tag: "Operators: Dify", access: "operator" } as const;
const MOST_ROWS = 10_000;

const externalId = line(200).meta({ description: "What Dify sends as user_id", examples: ["user_4711"] });
const note = z.string().trim().max(500);
const mapping = z.strictObject({ external_id: externalId, user_id: z.uuid(), note: note.optional() });
const params = z.strictObject({ external_id: externalId });
const view = z.object({
  external_id: z.string(),
  user_id: z.string(),
  note: z.string().nullable(),
  created_at: isoTime,
  updated_at: isoTime,
});
const change = z
  .strictObject({ user_id: z.uuid().optional(), note: note.nullable().optional() })
  .refine((body) => Object.keys(body).length > 0, { path: ["user_id"], message: "send at least one field to change" });
const importBody = z.union([z.string(), z.strictObject({ users: z.array(mapping).min(1).max(MOST_ROWS) })]).meta({
  override: ({ jsonSchema }: { jsonSchema: { anyOf?: unknown[] } }) => {
    // The text is CSV, a content type of its own.
    const json = jsonSchema.anyOf?.[1];
    delete jsonSchema.anyOf;
    Object.assign(jsonSchema, json);
  },
});

type Row = z.output<typeof mapping> & { line: number };

/** The rows of a CSV file with the columns external_id, user_id and, if wanted, note. Throws `validation_failed` that names each bad row. */
function csvRows(text: string): Row[] {
  let records: { record: Record<string, string>; info: { lines: number } }[];
  try {
    records = parse(text, { bom: true, columns: true, info: true, skip_empty_lines: true, trim: true }) as unknown as typeof records;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw appError("validation_failed", { message: `body: is not CSV: ${error.message}`, cause: error });
  }
  if (records.length === 0) throw fieldError("body", "has no rows");
  if (records.length > MOST_ROWS) throw fieldError("body", `must not have more than ${MOST_ROWS} rows`);
  const problems: { field: string; message: string }[] = [];
  const rows = records.flatMap(({ record, info }) => {
    const { note: said, ...rest } = record;
    const parsed = mapping.safeParse({ ...rest, ...(said ? { note: said } : {}) });
    if (parsed.success) return [{ ...parsed.data, line: info.lines }];
    const [issue] = parsed.error.issues;
    problems.push({ field: `line ${info.lines}`, message: `${issue?.path.join(".") || "columns"}: ${issue?.message}` });
    return [];
  });
  if (problems.length > 0) throw appError("validation_failed", { message: "Some rows are not valid", details: problems });
  return rows;
}

function withoutRepeats(rows: readonly Row[]): Row[] {
  const seen = new Set<string>();
  for (const { external_id: id, line } of rows) {
    if (seen.has(id)) throw fieldError(`line ${line}`, "names an external_id that came before");
    seen.add(id);
  }
  return [...rows];
}

/** Operators' routes of who the users of Dify are. */
export function userRoutes(mappings: Mappings): Route[] {
  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/dify/users",
      summary: "Users of Dify and the accounts they stand for",
      query: z.strictObject({ ...pageQuery, q: z.string().max(200).optional(), user: z.uuid().optional() }),
      responses: { 200: pageOf(view) },
      handler: async ({ query: { page, page_size, ...filter } }) =>
        ok({ ...(await mappings.list(filter, { page, page_size })), page, page_size }),
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/dify/users",
      summary: "Map a user of Dify to an account",
      description: "Messages of this user that were reported before are charged within the next half minute.",
      body: mapping,
      responses: { 201: view },
      errors: ["conflict"],
      handler: async ({ body, principal, traceId }) => created(await mappings.create({ userId: principal.userId, traceId }, body)),
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/dify/users/import",
      summary: "Map many users of Dify at once",
      description:
        "CSV with the columns external_id, user_id and note, or JSON. All or nothing; rows that are there already stay or change.",
      csv: true,
      body: importBody,
      responses: { 200: z.object({ added: z.number().int(), changed: z.number().int(), unchanged: z.number().int() }) },
      handler: async ({ body, principal, traceId }) => {
        const rows = typeof body === "string" ? csvRows(body) : body.users.map((row, n) => ({ ...row, line: n + 1 }));
        return ok(await mappings.import({ userId: principal.userId, traceId }, withoutRepeats(rows)));
      },
    }),
    route({
      ...COMMON,
      method: "patch",
      path: "/api/admin/dify/users/:external_id",
      summary: "Map a user of Dify to another account",
      description: "What was charged stays where it is.",
      params,
      body: change,
      responses: { 200: view },
      handler: async ({ params: { external_id: id }, body, principal, traceId }) =>
        ok(await mappings.change({ userId: principal.userId, traceId }, id, body)),
    }),
    route({
      ...COMMON,
      method: "delete",
      path: "/api/admin/dify/users/:external_id",
      summary: "Forget who a user of Dify is",
      params,
      responses: { 204: undefined },
      handler: async ({ params: { external_id: id }, principal, traceId }) => {
        await mappings.remove({ userId: principal.userId, traceId }, id);
        return { status: 204, data: undefined };
      },
    }),
  ];
}
