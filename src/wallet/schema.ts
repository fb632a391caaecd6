import { z } from "zod";
import { creditsText, isoTime, pageOf, pageQuery, timeRange } from "../http/schemas.ts";

const TYPES = ["CHECKIN", "CONSUMPTION", "BONUS", "PURCHASE", "ADMIN", "REFUND", "ALLOWANCE", "EXPIRY", "TRANSFER"] as const;
export const BILL_TYPES = ["topup", "consumption", "refund"] as const;
export const BILL_STATUSES = ["pending", "completed", "failed", "cancelled"] as const;

export const balanceView = z.object({
  available: creditsText,
  held: creditsText,
  total: creditsText,
  sources: z.array(z.object({ source: z.string(), amount: creditsText, expires_at: isoTime.nullable() })),
  soonest_expiry: isoTime.nullable(),
});

export const historyQuery = z.strictObject({
  ...pageQuery,
  ...timeRange,
  type: z.enum(TYPES).optional(),
  model: z.string().min(1).max(200).optional().meta({ description: "Calls of this model" }),
  key: z.uuid().optional().meta({ description: "Calls made with this API key" }),
});
export type HistoryQuery = z.output<typeof historyQuery>;

export const historyPage = pageOf(
  z.object({
    id: z.string(),
    type: z.enum(TYPES),
    amount: creditsText.meta({ description: "Positive when credited, negative when charged" }),
    balance_after: creditsText,
    description: z.string(),
    reference: z.string().nullable(),
    source: z.string().nullable(),
    created_at: isoTime,
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
