import { z } from "zod";
import { creditsText, exportQuery, isoTime, pageOf, pageQuery, timeRange } from "../http/schemas.ts";

const TYPES = ["CHECKIN", "CONSUMPTION", "BONUS", "PURCHASE", "ADMIN", "REFUND", "ALLOWANCE", "EXPIRY", "TRANSFER"] as const;
export const BILL_TYPES = ["topup", "consumption", "refund"] as const;
export const BILL_STATUSES = ["pending", "completed", "failed", "cancelled"] as const;

export const balanceView = z.object({
  available: creditsText,
  held: creditsText,
  total: creditsText,
  shortfall: creditsText.meta({ description: "What is owed for earlier use; the next credit pays it first, and no call begins before" }),
  sources: z.array(z.object({ source: z.string(), amount: creditsText, expires_at: isoTime.nullable() })),
  soonest_expiry: isoTime.nullable(),
});

type TransferType = (typeof TYPES)[number];
const isType = (word: string): word is TransferType => TYPES.some((type) => type === word);

/** One type or several: `type=BONUS,CHECKIN` or the parameter more than once. */
const typesInput = z
  .union([z.string(), z.array(z.string())])
  .transform((given) => [given].flat().flatMap((words) => words.split(",")))
  .refine((words) => words.every(isType), `must be of ${TYPES.join(", ")}`)
  .transform((words) => [...new Set(words.filter(isType))])
  .meta({
    description: `Of ${TYPES.join(", ")}; several separated by commas`,
    examples: ["CHECKIN,BONUS"],
    override: ({ jsonSchema }: { jsonSchema: { anyOf?: unknown } }) => {
      delete jsonSchema.anyOf;
      Object.assign(jsonSchema, { type: "string" });
    },
  });

const historyFilters = {
  ...timeRange,
  type: typesInput.optional(),
  model: z.string().min(1).max(200).optional().meta({ description: "Calls of this model" }),
  key: z.uuid().optional().meta({ description: "Calls made with this API key" }),
};
export const historyQuery = z.strictObject({ ...pageQuery, ...historyFilters });
export type HistoryQuery = z.output<typeof historyQuery>;
export const historyExportQuery = z.strictObject({ ...exportQuery, ...historyFilters });
export type HistoryFilter = Omit<z.output<typeof historyExportQuery>, "bom">;

export const historyPage = pageOf(
  z.object({
    id: z.string(),
    type: z.enum(TYPES),
    amount: creditsText.meta({ description: "Positive when credited, negative when charged" }),
    shortfall: creditsText.nullable().meta({
      description:
        "What of a charge the wallet could not pay and owed from then on; `amount` is 0 then. What it could pay, and what it paid of it later, are items of their own",
    }),
    balance_after: creditsText,
    description: z.string(),
    reference: z.string().nullable(),
    source: z.string().nullable(),
    created_at: isoTime,
    call: z
      .object({
        id: z.string(),
        request_id: z.string(),
        model: z.string(),
        key_id: z.string().nullable(),
        input_tokens: z.number().int().meta({ description: "All input, cached or not" }),
        cached_input_tokens: z.number().int(),
        cache_write_tokens: z.number().int(),
        output_tokens: z.number().int().meta({ description: "All output, reasoning included" }),
        reasoning_tokens: z.number().int(),
        price_version: z.number().int().nullable(),
        status: z.string(),
        duration_ms: z.number().int(),
        created_at: isoTime,
        settled_at: isoTime.nullable(),
        dify: z
          .object({ consumption_id: z.string(), message_id: z.string(), conversation_id: z.string(), request_id: z.string() })
          .nullable()
          .meta({ description: "The message that Dify's webhook reported" }),
      })
      .nullable()
      .meta({ description: "The call that was charged" }),
    burned: z
      .array(z.object({ source: z.string(), amount: creditsText, expires_at: isoTime.nullable() }))
      .meta({ description: "Which credit paid a charge, in the order in which it was used" }),
  }),
);

export const billQuery = z.strictObject({
  ...pageQuery,
  ...timeRange,
  type: z.enum(BILL_TYPES).optional(),
  status: z.enum(BILL_STATUSES).optional(),
});
export type BillQuery = z.output<typeof billQuery>;

/** A bill's number: a positive 64-bit integer. */
export const billParams = z.object({
  id: z
    .string()
    .regex(/^[1-9]\d{0,18}$/, "is not a bill's number")
    .refine((text) => !/^\d{1,19}$/.test(text) || BigInt(text) < 2n ** 63n, "is not a bill's number"),
});

export const billView = z.object({
  id: z.string(),
  type: z.enum(BILL_TYPES),
  amount: z.string().meta({ description: "In money, exact decimal text", examples: ["50.00"] }),
  currency: z.string(),
  credits: creditsText,
  quota_amount: creditsText.meta({ description: "The same as credits" }),
  paid: creditsText.meta({ description: "What of the credits is paid; the rest of a pending consumption is owed" }),
  description: z.string(),
  transaction_id: z.string().nullable(),
  order_no: z.string().nullable(),
  status: z.enum(BILL_STATUSES),
  created_at: isoTime,
  updated_at: isoTime,
  completed_at: isoTime.nullable(),
});
export const billPage = pageOf(billView);

export const statsQuery = z.strictObject({ ...timeRange });
const sums = z.object({ type: z.enum(BILL_TYPES), count: z.number().int(), amount: z.string(), credits: creditsText });
export const statsView = z.object({
  currency: z.string(),
  by_type: z.array(sums),
  by_month: z.array(sums.extend({ month: z.string().meta({ description: "UTC", examples: ["2026-11"] }) })),
});
