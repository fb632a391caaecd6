import { z } from "zod";
import { creditsText, isoTime, pageOf, pageQuery, timeRange, uuid } from "../http/schemas.ts";

export const STATUSES = ["ok", "failed", "client_gone"] as const;

const filters = {
  model: z.string().min(1).max(200).optional(),
  key: uuid.optional().meta({ description: "Id of an API key" }),
  status: z.enum(STATUSES).optional(),
  ...timeRange,
};

export const userQuery = z.strictObject({ ...pageQuery, ...filters });
export const adminQuery = z.strictObject({
  ...pageQuery,
  ...filters,
  user: uuid.optional(),
  provider: uuid.optional(),
  request_id: z.string().min(1).max(128).optional(),
  settled: z.enum(["true", "false"]).optional().meta({ description: "false: recorded but not settled yet" }),
});
export type UsageFilter = Partial<Omit<z.output<typeof adminQuery>, "page" | "page_size">>;

export const keyParams = z.strictObject({ id: uuid });
export const keyQuery = z.strictObject(timeRange);

const count = z.number().int();
export const usageItem = z.object({
  id: uuid,
  request_id: z.string().meta({ description: "The X-Request-ID of the call" }),
  key_id: uuid.nullable(),
  model: z.string(),
  provider: z.string().nullable(),
  route: z.string(),
  stream: z.boolean(),
  input_tokens: count.meta({ description: "All input, cached or not" }),
  cached_input_tokens: count,
  cache_write_tokens: count,
  output_tokens: count.meta({ description: "All output, reasoning included" }),
  reasoning_tokens: count,
  cost: creditsText.nullable().meta({ description: "Null until the call is settled" }),
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
  set_aside_at: isoTime.nullable(),
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
export const keyUsage = z.object({ totals: z.object(totals), days: z.array(z.object({ date: z.string(), ...totals })) });

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
