import { z } from "zod";
import { creditsText, isoTime, line } from "../http/schemas.ts";
import { MICRO, parseCredits } from "../platform/credits.ts";
import { keyFields, limits, limitsView, spend } from "./schema.ts";

/** Shapes of requests and answers about end-user tokens. */

const { requests_per_minute, requests_per_second, tokens_per_minute, max_parallel } = limits.shape;

export const mintTokenBody = z.strictObject({
  ttl_seconds: z.number().int().min(60).max(86_400).default(3_600).meta({ description: "How long the token works; an hour unless told" }),
  budget: spend
    .transform((text) => parseCredits(text) ?? MICRO)
    .meta({ description: "Credits that the token may spend in its life", examples: ["2.5"] }),
  models: keyFields.models,
  allowed_ips: keyFields.allowed_ips,
  requests_per_minute,
  requests_per_second,
  tokens_per_minute,
  max_parallel,
  end_user: line(128).optional().meta({ description: "Who it is for, in your words" }),
});

export const tokenView = z
  .object({
    id: z.string(),
    key_id: z.string(),
    prefix: z.string(),
    end_user: z.string().nullable(),
    status: z.enum(["active", "revoked", "expired"]),
    budget: creditsText,
    spent: creditsText,
    held: creditsText.meta({ description: "What running calls may still spend" }),
    limits: limitsView,
    models: z.array(z.string()).nullable(),
    allowed_ips: z.array(z.string()).nullable(),
    created_at: isoTime,
    expires_at: isoTime,
    revoked_at: isoTime.nullable(),
  })
  .meta({ id: "EndUserToken" });
export const newTokenView = tokenView.extend({ token: z.string().meta({ description: "Shown this once" }) });
