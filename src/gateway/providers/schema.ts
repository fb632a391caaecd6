import { z } from "zod";
import { creditsInput, creditsText, isoTime, pageQuery, uuid } from "../../http/schemas.ts";
import { parseBaseUrl } from "./baseUrl.ts";
import { customFormat, headerName } from "./custom.ts";

const text = (max: number) => z.string().trim().min(1).max(max);
/** One line for a header: visible ASCII. */
const headerSafe = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[\x21-\x7e]+$/, "must be visible ASCII characters without spaces");
const status = z.enum(["active", "inactive"]);

const baseUrl = z
  .string()
  .min(1)
  .max(255)
  .superRefine((value, context) => {
    const parsed = parseBaseUrl(value);
    if (!parsed.ok) context.addIssue({ code: "custom", message: parsed.problem });
  })
  .meta({ description: "With or without a trailing `/v1`, which means the same", examples: ["https://api.openai.com/v1"] });

const DAY_MS = 86_400_000;
const milliseconds = z.number().int().min(10).max(DAY_MS).optional();
const timeouts = z
  .strictObject({
    connect_ms: milliseconds,
    first_byte_ms: milliseconds,
    whole_ms: milliseconds.meta({ description: "Until the first byte of an answer that is no stream and is made token by token" }),
    idle_ms: milliseconds,
    total_ms: milliseconds,
  })
  .meta({ description: "Milliseconds; what is left out is as configured for all providers" });

const headers = z
  .record(
    headerName.refine((name) => !/^authorization$/i.test(name), "may not be set"),
    z
      .string()
      .max(2_000)
      .regex(/^[\x20-\x7e]*$/, "must be visible ASCII characters"),
  )
  .refine((all) => Object.keys(all).length <= 20, "must not hold more than 20 headers")
  .meta({ description: "Sent with every call; values are never shown again" });

const difySettings = z
  .strictObject({
    input_percent: z.number().int().min(0).max(100).optional().meta({
      description: "How much of a workflow's total is priced as input, in percent: 50 unless said. The rest is priced as output",
    }),
    unseen_tokens: z.number().int().min(0).max(1_000_000).optional().meta({
      description: "Tokens that the app adds to a prompt and that a hold reserves beside it: its instructions, knowledge, memory",
    }),
  })
  .meta({ description: "For the format `dify`" });

const CONFIG_BYTES = 8_192;
const config = z
  .object({
    skip_done: z.boolean().optional().meta({ description: "The vendor never sends `[DONE]`" }),
    forward_trace: z.boolean().optional().meta({ description: "Send `traceparent` with traced calls: for providers of your own" }),
    custom: customFormat.optional(),
    dify: difySettings.optional(),
  })
  .catchall(z.json())
  .refine((value) => JSON.stringify(value).length <= CONFIG_BYTES, "must not be larger than 8 KB");

const apiFormat = z
  .enum(["openai", "claude", "dify", "custom"])
  .meta({ description: "`dify` is one app of a Dify installation, with the app's key; `custom` needs `config.custom`" });

const wholeNumber = (min: number, max: number) => z.number().int().min(min).max(max);

export const providerChange = z.strictObject({
  name: text(100).optional(),
  base_url: baseUrl.optional(),
  api_key: headerSafe(1_000).optional(),
  api_format: apiFormat.optional(),
  status: status.optional(),
  priority: wholeNumber(-1_000, 1_000).optional().meta({ description: "The highest is tried first" }),
  weight: wholeNumber(0, 1_000_000).optional().meta({ description: "Share of the calls among providers of equal priority" }),
  timeouts: timeouts.optional(),
  headers: headers.optional(),
  config: config.optional(),
});

export const newProvider = z.strictObject({ ...providerChange.shape, name: text(100), base_url: baseUrl, api_key: headerSafe(1_000) });

export const providerParams = z.strictObject({ id: uuid });
export const providersQuery = z.strictObject({ ...pageQuery, q: z.string().max(100).optional(), status: status.optional() });
export const providerModelsQuery = z.strictObject(pageQuery);

/** Cost in the given currency. */
const costPrice = creditsInput.nullable().optional();
const perTokens = costPrice.meta({ description: "What it costs us per 1000 tokens; null when not known" });
const perOne = costPrice.meta({ description: "What one costs us; null when not known" });

const upstreamModel = text(200)
  .regex(/^[^\p{Cc}]+$/u, "must not contain control characters")
  .refine((name) => !/^\.{1,2}$/.test(name), "must be a name");

export const providerModelChange = z.strictObject({
  upstream_model: upstreamModel.optional(),
  display_name: text(100).nullable().optional(),
  input_price: perTokens,
  output_price: perTokens,
  cached_input_price: perTokens,
  cache_write_price: perTokens,
  cache_write_1h_price: perTokens,
  reasoning_price: perTokens,
  request_price: perOne,
  image_price: perOne,
  second_price: perOne,
  character_price: perOne,
  web_search_price: perOne,
  price_currency: z.enum(["CREDITS", "CNY", "USD"]).optional(),
  status: status.optional(),
});

const modelNameInput = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[\x21-\x7e]+$/, "must be visible ASCII characters without spaces")
  .meta({ description: "The name under which callers ask for it", examples: ["anthropic/claude-sonnet-4"] });

export const newProviderModel = z.strictObject({ model_name: modelNameInput, ...providerModelChange.shape });
export const providerModelParams = z.strictObject({ id: uuid, modelId: uuid });

const fingerprint = z.string().regex(/^[0-9a-f]{8}$/, "must be a key's fingerprint");

export const testRequest = z.strictObject({
  model: text(200).optional().meta({ description: "Ask this model for one token instead of listing models" }),
  key: fingerprint.optional().meta({ description: "Use this key; the first one when left out" }),
});
export const discoverRequest = z.strictObject({ key: fingerprint.optional() });

export const newKey = z.strictObject({ api_key: headerSafe(1_000) });
export const keyParams = z.strictObject({
  id: uuid,
  key: z
    .string()
    .regex(/^([0-9a-f]{8}|\d{1,3})$/, "must be a fingerprint or a place in the list")
    .meta({ description: "Its fingerprint, or its place in the list from 0" }),
});

export const importRequest = z.strictObject({
  models: z
    .array(
      z.strictObject({
        upstream_model: upstreamModel,
        model_name: modelNameInput.optional(),
        display_name: text(100).nullable().optional(),
      }),
    )
    .min(1)
    .max(500),
});

export const fromPreset = z.strictObject({
  preset: z
    .string()
    .min(1)
    .max(50)
    .meta({ examples: ["antinomy"] }),
  api_key: headerSafe(1_000).optional().meta({ description: "For `antinomy`, ANTINOMY_API_KEY of the environment when left out" }),
});

export type NewProvider = z.output<typeof newProvider>;
export type ProviderChange = z.output<typeof providerChange>;
export type NewProviderModel = z.output<typeof newProviderModel>;
export type ProviderModelChange = z.output<typeof providerModelChange>;
export type ImportRequest = z.output<typeof importRequest>;

export const keyView = z.object({
  index: z.number().int(),
  fingerprint: z.string().nullable().meta({ description: "Null when it cannot be decrypted" }),
  hint: z.string().nullable().meta({ description: "Its last signs; nothing of a short key" }),
  status: z.enum(["ready", "resting", "unreadable"]).meta({ description: "`resting`: refused, spent or limited, for all models" }),
  reason: z.string().nullable(),
  ready_at: isoTime.nullable(),
  limited_models: z.array(z.object({ model: z.string(), ready_at: isoTime })).meta({ description: "For which it is rate limited" }),
});

const circuitState = z.enum(["closed", "open", "half_open"]);
const health = z
  .object({
    state: z.enum(["closed", "open", "half_open", "degraded"]).meta({ description: "`degraded`: some models or keys are out of use" }),
    retry_at: isoTime.nullable(),
    circuits: z.array(
      z.object({
        upstream_model: z.string().nullable().meta({ description: "Null: the provider as a whole" }),
        state: circuitState,
        retry_at: isoTime.nullable(),
        calls: z.number().int().meta({ description: "In the window, on this copy of the api" }),
        failures: z.number().int(),
      }),
    ),
  })
  .meta({ description: "Circuit breakers, as this copy of the api knows them" });

export const providerView = z.object({
  id: uuid,
  name: z.string(),
  base_url: z.string(),
  api_root: z.string().meta({ description: "What upstream paths are appended to" }),
  api_format: z.string(),
  status,
  priority: z.number().int(),
  weight: z.number().int(),
  timeouts: z.record(z.string(), z.number()),
  header_names: z.array(z.string()),
  key_count: z.number().int(),
  keys: z.array(keyView),
  health,
  config: z.record(z.string(), z.unknown()),
  created_at: isoTime,
  updated_at: isoTime,
});

export const providerModelView = z.object({
  id: uuid,
  provider_id: uuid,
  model_name: z.string(),
  upstream_model: z.string(),
  display_name: z.string().nullable(),
  input_price: creditsText.nullable(),
  output_price: creditsText.nullable(),
  cached_input_price: creditsText.nullable(),
  cache_write_price: creditsText.nullable(),
  cache_write_1h_price: creditsText.nullable(),
  reasoning_price: creditsText.nullable(),
  request_price: creditsText.nullable(),
  image_price: creditsText.nullable(),
  second_price: creditsText.nullable(),
  character_price: creditsText.nullable(),
  web_search_price: creditsText.nullable(),
  price_currency: z.string(),
  price_per_tokens: z.literal(1_000),
  status,
  created_at: isoTime,
  updated_at: isoTime,
});

const probeError = z.object({
  kind: z.enum(["private_address", "timeout", "connection", "authentication", "not_found", "rate_limited", "upstream_error", "malformed"]),
  status: z.number().int().optional(),
  message: z.string(),
});
export type ProbeError = z.output<typeof probeError>;

export const testResult = z.object({
  ok: z.boolean(),
  checked: z.enum(["models", "chat"]),
  latency_ms: z.number(),
  models: z.array(z.string()).optional(),
  error: probeError.optional(),
});

export const discoverResult = z.object({
  ok: z.boolean(),
  models: z.array(
    z.object({
      upstream_model: z.string(),
      state: z.enum(["new", "known", "gone"]).meta({ description: "`gone`: served here, but the provider does not list it" }),
      model_names: z.array(z.string()).meta({ description: "Under which it is served here" }),
    }),
  ),
  error: probeError.optional(),
});

export const importResult = z.object({ imported: z.array(z.lazy(() => providerModelView)), skipped: z.array(z.string()) });

export const presetView = z.object({
  preset: z.string(),
  name: z.string(),
  base_url: z.string(),
  api_format: z.string(),
  config: z.record(z.string(), z.unknown()),
  models: z.array(z.string()),
  key_in_environment: z.boolean(),
});
export type TestResult = z.output<typeof testResult>;
