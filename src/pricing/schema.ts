import { z } from "zod";
import { creditsInput, creditsText, isoTime, pageQuery } from "../http/schemas.ts";
import { MICRO } from "../platform/credits.ts";

/** Segments parted by `/`, none of them `.` or `..`, so that a name can stand in a path. */
const MODEL_NAME = /^[A-Za-z0-9@_~](?:[A-Za-z0-9._:@+~-]*)(?:\/[A-Za-z0-9@_~][A-Za-z0-9._:@+~-]*)*$/;

/** The dearest price that can be set: 100 000 credits, so that no call's cost leaves the range of a bigint column. */
const MAX_PRICE = 100_000n * MICRO;

export const modelName = z
  .string()
  .min(1)
  .max(100)
  .regex(MODEL_NAME, "must consist of letters, digits and . _ : @ + ~ - with / between parts")
  .meta({ examples: ["anthropic/claude-3.7-sonnet:thinking"] });

/** A price in credits as decimal text → micro-credits. */
export const priceInput = creditsInput
  .refine((micro) => micro <= MAX_PRICE, "must not be above 100000")
  .meta({ description: "Credits, decimal text", examples: ["30"] });

export const status = z.enum(["active", "inactive"]);

/** A name at the end of a path, with its slashes encoded or not; Express gives its parts. */
export const nameInPath = z
  .union([z.string(), z.array(z.string())])
  .transform((parts) => (Array.isArray(parts) ? parts.join("/") : parts))
  .pipe(z.string().min(1).max(100))
  .meta({
    description: "The model's name or alias; `/` may be encoded or not",
    override: ({ jsonSchema }: { jsonSchema: { anyOf?: unknown } }) => {
      delete jsonSchema.anyOf;
      Object.assign(jsonSchema, { type: "string", minLength: 1, maxLength: 100 });
    },
  });

const text = (max: number) => z.string().trim().min(1).max(max);
const wholeNumber = z.number().int().min(1).max(2_000_000_000);

const prices = {
  input_price: priceInput.optional(),
  output_price: priceInput.optional(),
  cached_input_price: priceInput.nullable().optional(),
  cache_write_price: priceInput.nullable().optional(),
  cache_write_1h_price: priceInput.nullable().optional(),
  reasoning_price: priceInput.nullable().optional(),
  request_price: priceInput.optional(),
  image_price: priceInput.optional(),
  second_price: priceInput.optional(),
  character_price: priceInput.optional(),
  web_search_price: priceInput.optional(),
};

const fields = {
  aliases: z.array(modelName).max(20).optional(),
  display_name: text(100).nullable().optional(),
  modality: z.enum(["text", "image", "audio", "video", "embedding", "rerank", "moderation"]).optional(),
  context_length: wholeNumber.nullable().optional(),
  max_output_tokens: wholeNumber.nullable().optional(),
  max_image_tokens: wholeNumber
    .nullable()
    .optional()
    .meta({ description: "The most tokens of one picture, for holds; null for the usual" }),
  max_file_tokens: wholeNumber
    .nullable()
    .optional()
    .meta({ description: "The most tokens of one file whose pages cannot be counted, for holds; null for 200000" }),
  video_second_tokens: wholeNumber.nullable().optional().meta({ description: "Tokens of a second of video, for holds; null for 800" }),
  status: status.optional(),
};

const reason = { reason: text(500).optional() };

export const modelChange = z.strictObject({ ...fields, ...prices, ...reason });
export const newModel = z.strictObject({ name: modelName, ...modelChange.shape });
export const modelParams = z.strictObject({ name: nameInPath });
export const modelsQuery = z.strictObject({ ...pageQuery, q: z.string().max(100).optional(), status: status.optional() });
export const publicModelsQuery = z.strictObject({ ...pageQuery, q: z.string().max(100).optional() });
export const historyQuery = z.strictObject(pageQuery);

export type ModelChange = z.output<typeof modelChange>;
export type NewModel = z.output<typeof newModel>;

const priceFields = {
  input_price: creditsText,
  output_price: creditsText,
  cached_input_price: creditsText.nullable(),
  cache_write_price: creditsText.nullable(),
  cache_write_1h_price: creditsText.nullable(),
  reasoning_price: creditsText.nullable(),
  request_price: creditsText,
  image_price: creditsText,
  second_price: creditsText,
  character_price: creditsText,
  web_search_price: creditsText,
};

const shown = {
  name: z.string(),
  aliases: z.array(z.string()),
  display_name: z.string().nullable(),
  modality: z.string(),
  context_length: z.number().int().nullable(),
  max_output_tokens: z.number().int().nullable(),
};

export const publicModelView = z.object({ ...shown, ...priceFields, price_version: z.number().int() });

/** `price_version` and the prices are null while the model has no price; calls are refused then. */
export const modelView = z.object({
  ...shown,
  max_image_tokens: z.number().int().nullable(),
  max_file_tokens: z.number().int().nullable(),
  video_second_tokens: z.number().int().nullable(),
  status,
  ...Object.fromEntries(Object.entries(priceFields).map(([name, schema]) => [name, schema.nullable()])),
  price_version: z.number().int().nullable(),
  safety_percent: z
    .number()
    .int()
    .nullable()
    .meta({ description: "What holds take prompts for, in percent of our count; corrected daily" }),
  created_at: isoTime,
  updated_at: isoTime,
});

export const publicPriceView = z.object({
  version: z.number().int(),
  ...priceFields,
  reason: z.string().nullable(),
  created_at: isoTime,
});
export const priceView = publicPriceView.extend({ author_id: z.string().nullable() });
