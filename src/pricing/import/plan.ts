import { problemsOf } from "../../http/validate.ts";
import { AppError, type FieldProblem } from "../../platform/errors.ts";
import { mergeFields, mergePrices, NEW_FIELDS, samePrices } from "../merge.ts";
import { presentPrices } from "../present.ts";
import type { Prices } from "../price.ts";
import type { ModelFields, ModelRecord } from "../repository.ts";
import { newModel, type NewModel } from "../schema.ts";
import type { ImportRow } from "./rows.ts";

/** What a price list would change: pure. */

export interface Change {
  field: string;
  from: unknown;
  to: unknown;
}

export interface PlannedRow {
  line: number;
  model: string;
  fields: ModelFields;
  /** Set when a new version of the prices is needed. */
  prices: Prices | undefined;
  /** Undefined for a model that is new. */
  before: ModelRecord | undefined;
  changes: Change[];
}

export interface InvalidRow {
  line: number;
  model: string | null;
  problems: FieldProblem[];
}

export interface Plan {
  added: PlannedRow[];
  changed: PlannedRow[];
  unchanged: PlannedRow[];
  invalid: InvalidRow[];
}

/** Prices and fields as answers show them, for comparing. */
const shown = (fields: ModelFields, prices: Prices | null): Record<string, unknown> => ({
  ...(prices ? presentPrices(prices) : {}),
  display_name: fields.displayName,
  modality: fields.modality,
  context_length: fields.contextLength,
  max_output_tokens: fields.maxOutputTokens,
  max_image_tokens: fields.maxImageTokens,
  max_file_tokens: fields.maxFileTokens,
  video_second_tokens: fields.videoSecondTokens,
  aliases: fields.aliases,
  status: fields.status,
});

function changesOf(before: ModelRecord | undefined, fields: ModelFields, prices: Prices | undefined): Change[] {
  const old = before ? shown(before, before.price) : shown(NEW_FIELDS, null);
  const next = shown(fields, prices ?? before?.price ?? null);
  return Object.keys(next)
    .filter((field) => JSON.stringify(old[field] ?? null) !== JSON.stringify(next[field]))
    .map((field) => ({ field, from: old[field] ?? null, to: next[field] }));
}

/** A row's model as it would be; throws `validation_failed` when its first prices are not complete. */
function planned(line: number, given: NewModel, before: ModelRecord | undefined): PlannedRow {
  const fields = mergeFields(before ?? NEW_FIELDS, given);
  const merged = mergePrices(before?.price ?? null, given);
  const prices = merged && !samePrices(before?.price ?? null, merged) ? merged : undefined;
  return { line, model: before?.name ?? given.name, fields, prices, before, changes: changesOf(before, fields, prices) };
}

/**
 * Compares rows with the models there are, by name or alias, ignoring case. What a row does not say stays as it is. A row that names a
 * model, or takes a name, that an earlier row has is invalid.
 */
export function planImport(rows: readonly ImportRow[], models: readonly ModelRecord[]): Plan {
  const plan: Plan = { added: [], changed: [], unchanged: [], invalid: [] };
  const byName = new Map(models.flatMap((model) => [model.name, ...model.aliases].map((name) => [name.toLowerCase(), model] as const)));
  /** Who has a name once the rows so far are applied. */
  const owners = new Map([...byName].map(([name, model]) => [name, model.name]));
  const seen = new Map<string, number>();

  function read({ line, value, problem }: ImportRow): PlannedRow | InvalidRow {
    const model = typeof value["name"] === "string" ? value["name"] : null;
    const invalid = (problems: FieldProblem[]): InvalidRow => ({ line, model, problems });
    if (problem !== undefined) return invalid([{ field: "row", message: problem }]);
    const parsed = newModel.safeParse(value);
    if (!parsed.success) return invalid(problemsOf(parsed.error, "row"));
    const before = byName.get(parsed.data.name.toLowerCase());
    const name = before?.name ?? parsed.data.name;
    const earlier = seen.get(name.toLowerCase());
    if (earlier !== undefined) return invalid([{ field: "name", message: `is in line ${earlier} already` }]);
    const taken = (parsed.data.aliases ?? []).find((alias) => (owners.get(alias.toLowerCase()) ?? name) !== name);
    if (taken !== undefined) return invalid([{ field: "aliases", message: `${taken} is taken as the name or alias of another model` }]);
    if (owners.get(name.toLowerCase()) !== undefined && owners.get(name.toLowerCase()) !== name)
      return invalid([{ field: "name", message: "is taken as an alias by another row" }]);
    try {
      const row = planned(line, parsed.data, before);
      seen.set(name.toLowerCase(), line);
      for (const own of [name, ...row.fields.aliases]) owners.set(own.toLowerCase(), name);
      return row;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return invalid(error.details as FieldProblem[]);
    }
  }

  for (const row of rows) {
    const result = read(row);
    if ("problems" in result) plan.invalid.push(result);
    else if (!result.before) plan.added.push(result);
    else if (result.changes.length > 0) plan.changed.push(result);
    else plan.unchanged.push(result);
  }
  return plan;
}
