import { z } from "zod";
import { creditsText, isoTime, pageOf, pageQuery } from "../http/schemas.ts";
import { ORDER_STATUSES } from "./order.ts";
import { ORDER_NO } from "./orderNo.ts";

const moneyText = z.string().meta({ description: "Amount of money, exact decimal text", examples: ["50.00"] });

export const orderBody = z.strictObject({
  amount: z
    .string()
    .regex(/^\d{1,9}(\.\d{1,2})?$/, 'must be a decimal text with at most 2 decimals, such as "50.00"')
    .meta({ examples: ["50.00"] }),
  currency: z.enum(["CNY"]),
  method: z
    .string()
    .regex(/^[a-z]{2,16}$/, "is not offered")
    .meta({ examples: ["epay"] }),
  channel: z
    .string()
    .regex(/^[a-z]{2,16}$/, "is not offered")
    .optional()
    .meta({ examples: ["alipay"] }),
});

export const orderParams = z.object({ order_no: z.string().regex(ORDER_NO, "is not an order number") });
export const orderQuery = z.strictObject({ ...pageQuery, status: z.enum(ORDER_STATUSES).optional() });
export const noBody = z.strictObject({});

export const orderView = z.object({
  order_no: z.string(),
  status: z.enum(ORDER_STATUSES),
  amount: moneyText,
  currency: z.string(),
  method: z.string(),
  channel: z.string(),
  credits: creditsText.meta({ description: "Everything that is credited, with the bonus" }),
  base_credits: creditsText,
  bonus_credits: creditsText,
  pay_url: z.string().nullable().meta({ description: "A page where it can be paid; null when it cannot be paid (any more)" }),
  qr_code: z.string().nullable(),
  late: z.boolean().meta({ description: "Paid after it had expired or was cancelled" }),
  flags: z.array(z.string()).meta({ description: "What an operator looks at" }),
  created_at: isoTime,
  expires_at: isoTime,
  paid_at: isoTime.nullable(),
  workflow_id: z.string(),
  workflow_url: z.string(),
});
export const orderPage = pageOf(orderView);

export const optionsView = z.object({
  currency: z.string(),
  presets: z.array(moneyText),
  min: moneyText,
  max: moneyText,
  rate: creditsText.meta({ description: "Credits for one yuan" }),
  methods: z.array(z.object({ method: z.string(), channels: z.array(z.string()), currency: z.string() })),
  bonus_tiers: z.array(z.object({ from: moneyText, percent: z.string() })),
});

/** What an Epay gateway sends, for the document; the route reads it itself. */
export const noticeParams = z.object({ provider: z.string() });
