import { z } from "zod";
import { creditsInput, creditsText, isoTime, pageOf, pageQuery, uuid } from "../http/schemas.ts";
import { MICRO } from "../platform/credits.ts";

const MOST_THRESHOLDS = 10;
const MOST = 1_000_000_000n * MICRO;

const threshold = creditsInput.refine((micro) => micro > 0n && micro <= MOST, "must be above 0 and not above 1000000000");

export const noticesBody = z
  .strictObject({
    thresholds: z
      .array(threshold)
      .max(MOST_THRESHOLDS)
      .optional()
      .meta({ description: "Credits; a notice goes out each time the balance falls below one" }),
    email: z.boolean().optional(),
    webhook: z
      .strictObject({ url: z.string().min(1).max(2_048) })
      .nullable()
      .optional()
      .meta({ description: "Where notices are posted; null for nowhere. Setting it again switches a disabled one on" }),
  })
  .refine((body) => Object.keys(body).length > 0, { path: ["thresholds"], message: "send at least one of thresholds, email, webhook" });
export type NoticesChange = z.output<typeof noticesBody>;

export const DELIVERY_STATES = ["pending", "delivered", "failed", "cancelled"] as const;

const webhook = z.object({
  url: z.string(),
  status: z.enum(["active", "disabled"]),
  failures: z.number().int().meta({ description: "Deliveries given up, one after the other" }),
});
const settings = {
  thresholds: z.array(creditsText),
  email: z.boolean(),
  states: z.array(
    z.object({
      threshold: creditsText,
      below: z.boolean().meta({ description: "The balance has not risen above it since it was below" }),
      since: isoTime,
    }),
  ),
};
export const noticesView = z.object({ ...settings, webhook: webhook.nullable() });
export const changedView = z.object({
  ...settings,
  webhook: webhook
    .extend({ secret: z.string().optional().meta({ description: "Signs what is posted; shown this once, when the URL is new" }) })
    .nullable(),
});
export const secretView = z.object({ secret: z.string().meta({ description: "Shown this once" }) });

export const deliveryParams = z.strictObject({ id: uuid });
export const deliveriesQuery = z.strictObject({ ...pageQuery, state: z.enum(DELIVERY_STATES).optional() });
export const deliveryView = z.object({
  id: uuid.meta({ description: "Also X-Webhook-Id" }),
  type: z.string(),
  body: z.unknown(),
  state: z.enum(DELIVERY_STATES),
  attempts: z.number().int(),
  last_status: z.number().int().nullable(),
  last_error: z.string().nullable(),
  created_at: isoTime,
  next_at: isoTime.nullable().meta({ description: "When it is tried next" }),
  ended_at: isoTime.nullable(),
});
export const deliveryPage = pageOf(deliveryView);
