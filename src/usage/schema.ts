import { z } from "zod";
import { creditsText, exportQuery, isoTime, pageOf, pageQuery, timeRange, uuid } from "../http/schemas.ts";
import { MARGIN_GROUPS } from "./margin.ts";

export const STATUSES = ["ok", "failed", "client_gone"] as const;

const filters = {
  model: z.string().min(1).max(200).optional(),
  key: uuid.optional().meta({ description: "Id of an API key" }),
  token: uuid.optional().meta({ description: "Id of an end-user token" }),
  status: z.enum(STATUSES).optional(),
  ...timeRange,
};

const adminFilters = {
  ...filters,
  user: uuid.optional(),
  provider: uuid.optional(),
  request_id: z.string().min(1).max(128).optional(),
  settled: z.enum(["true", "false"]).optional().meta({ description: "false: recorded but not settled yet" }),
};

export const userQuery = z.strictObject({ ...pageQuery, ...filters });
export const adminQuery = z.strictObject({ ...pageQuery, ...adminFilters });
export const userExportQuery = z.strictObject({ ...exportQuery, ...filters });
export const adminExportQuery = z.strictObject({ ...exportQuery, ...adminFilters });
export type UsageFilter = Partial<Omit<z.output<typeof adminQuery>, "page" | "page_size">>;

export const idParams = z.strictObject({ id: uuid });
export const keyQuery = z.strictObject(timeRange);

const count = z.number().int();
export const usageItem = z.object({
  id: uuid,
  request_id: z.string().meta({ description: "The X-Request-ID of the call" }),
  key_id: uuid.nullable(),
  token_id: uuid.nullable().meta({ description: "The end-user token, when one was used" }),
  model: z.string(),
  provider: z.string().nullable(),
  route: z.string(),
  stream: z.boolean(),
  input_tokens: count.meta({ description: "All input, cached or not" }),
  cached_input_tokens: count,
  cache_write_tokens: count,
  cache_write_1h_tokens: count.meta({ description: "Part of cache_write_tokens" }),
  output_tokens: count.meta({ description: "All output, reasoning included" }),
  reasoning_tokens: count,
  units: z.record(z.string(), z.number()).nullable().meta({ description: "What is priced per one: images, seconds, characters, searches" }),
  price_multiplier: z.string().meta({ description: "What the price was multiplied by", examples: ["1", "0.8"] }),
  cost: creditsText.nullable().meta({ description: "Null until the call is settled" }),
  cache: z.string().nullable().meta({ description: "hit: answered from our cache" }),
  status: z.enum(STATUSES),
  http_status: count,
  error_code: z.string().nullable(),
  error_class: z.string().nullable(),
  estimated: z.boolean(),
  retry_count: count,
  first_chunk_ms: count.nullable(),
  duration_ms: count,
  client_ip: z.string().nullable(),
  created_at: isoTime,
  settled_at: isoTime.nullable(),
});

export const adminUsageItem = usageItem.extend({
  user_id: uuid,
  team_id: uuid.nullable(),
  provider_id: uuid.nullable(),
  price_version_id: z.string().nullable(),
  upstream_request_id: z.string().nullable(),
  uncharged: creditsText.nullable(),
  estimated_input_tokens: count.nullable().meta({ description: "What the hold took the prompt for" }),
  attempts: count.meta({ description: "Requests sent to providers" }),
  upstream_cost: z.string().nullable().meta({ description: "Of all attempts; null when not known or in several currencies" }),
  upstream_currency: z.string().nullable(),
  set_aside_at: isoTime.nullable(),
});

const money = z.string().nullable();
export const usageDetail = adminUsageItem.extend({
  attempts: z.array(
    z.object({
      n: count,
      provider_id: uuid,
      provider: z.string(),
      upstream_model: z.string(),
      key: z.string().nullable().meta({ description: "Fingerprint of the provider's key" }),
      status: z.enum(["ok", "failed", "gone"]),
      http_status: count.nullable(),
      error_code: z.string().nullable(),
      error_class: z.string().nullable(),
      said: z.string().nullable().meta({ description: "The beginning of the provider's error answer, without its keys" }),
      started_ms: count.meta({ description: "After the call's beginning" }),
      first_byte_ms: count.nullable(),
      duration_ms: count,
      input_tokens: count,
      output_tokens: count,
      cost: money.meta({ description: "What the provider bills, in its currency; an estimate unless the attempt is ok" }),
      currency: z.string().nullable(),
      cost_in_credits: money,
    }),
  ),
  sale: creditsText.nullable(),
  cost_in_credits: money,
  margin: money.meta({ description: "Sale minus cost, in credits" }),
  margin_percent: money.meta({ description: "Of the sale" }),
});

const marginFilters = {
  ...timeRange,
  group_by: z.enum(MARGIN_GROUPS).default("model"),
  model: z.string().min(1).max(200).optional(),
  provider: uuid.optional(),
};
export const marginQuery = z.strictObject(marginFilters);
export const marginExportQuery = z.strictObject({ ...exportQuery, ...marginFilters });
const marginSums = {
  requests: count,
  attempts: count,
  failed_attempts: count,
  unpriced_attempts: count.meta({ description: "Attempts whose cost is not known; they are taken to cost nothing" }),
  sale: creditsText,
  uncharged: creditsText,
  costs: z.array(z.object({ currency: z.string(), amount: z.string() })),
  cost_in_credits: money.meta({ description: "Null when a currency has no rate" }),
  margin: money,
  margin_percent: money,
};
export const marginView = z.object({
  group_by: z.enum(MARGIN_GROUPS),
  from: isoTime,
  to: isoTime.nullable(),
  items: z.array(z.object({ key: z.string().nullable(), name: z.string().nullable(), ...marginSums })),
  totals: z.object(marginSums),
});

export const usagePage = pageOf(usageItem);
export const adminUsagePage = pageOf(adminUsageItem);

const totals = {
  requests: count,
  failed: count,
  input_tokens: count,
  output_tokens: count,
  cost: creditsText,
};
const limitsView = z.looseObject({});
export const keyUsage = z.object({
  totals: z.object(totals),
  days: z.array(z.object({ date: z.string(), ...totals })),
  time_zone: z.string().meta({ description: "Where today and month, and the days and months of spend limits, begin" }),
  today: z.object({ date: z.string(), ...totals }),
  month: z.object({ month: z.string(), ...totals }),
  limits: z.object({ key: limitsView, account: limitsView }),
  budgets: z
    .array(
      z.object({
        of: z.enum(["key", "account"]),
        limit: z.enum(["spend_total", "spend_daily", "spend_monthly"]),
        amount: creditsText,
        spent: creditsText,
        held: creditsText.meta({ description: "What running calls may still spend" }),
        left: creditsText,
        resets_at: isoTime.nullable(),
      }),
    )
    .meta({ description: "What each spend limit leaves, by the counters that enforce it" }),
});

export const incidentQuery = z.strictObject({
  ...pageQuery,
  kind: z.string().max(64).optional(),
  open: z.enum(["true", "false"]).optional(),
});
export const incidentPage = pageOf(
  z.object({
    id: uuid,
    kind: z.string(),
    subject: z.string(),
    user_id: uuid.nullable(),
    details: z.record(z.string(), z.unknown()),
    created_at: isoTime,
    resolved_at: isoTime.nullable(),
  }),
);
