import { z } from "zod";
import { ROLES } from "../http/principal.ts";
import { email, isoTime, line, timeZone } from "../http/schemas.ts";
import { limits, limitsOfAccounts, spend } from "../quotas/index.ts";
import { isAddressOrRange } from "./ipList.ts";
import { e164, usernameProblem } from "./names.ts";
import { PASSWORD_MAX } from "./password.ts";

/** Shapes of requests and answers of this domain. */

export const username = z
  .string()
  .max(32)
  .refine((name) => usernameProblem(name) === undefined, { error: (issue) => usernameProblem(String(issue.input)) ?? "is not a username" })
  .meta({ examples: ["ada"], description: "3 to 32 letters, digits, _ or -; not something that reads as a phone number" });
export const password = z.string().min(1).max(PASSWORD_MAX);
export const phone = z
  .string()
  .max(32)
  .refine((text) => e164(text) !== undefined, "must be a phone number in international form such as +8613800138000")
  .transform((text) => e164(text)!);
const code = z.string().regex(/^\d{6}$/, "must be 6 digits");
export const locale = z.enum(["en", "zh-CN"]);
const referralCode = z
  .string()
  .regex(/^[A-Za-z0-9]{6,16}$/, "is not a referral code")
  .meta({ description: "The code of who brought you, from `GET /api/user/referrals`", examples: ["K7MPQ2XA"] });
const anyText = (max: number) => z.string().trim().min(1).max(max);

export const emailCodeBody = z.strictObject({ email, purpose: z.enum(["register", "login", "reset", "change_email"]) });
export const registerByCodeBody = z.strictObject({
  email,
  code,
  username: username.optional(),
  password: password.optional(),
  phone: phone.optional(),
  referral_code: referralCode.optional(),
});
export const registerByLinkBody = z.strictObject({
  username,
  email,
  phone: phone.optional(),
  password,
  referral_code: referralCode.optional(),
});
export const resendBody = z.strictObject({ email });
export const tokenQuery = z.strictObject({ token: z.string().regex(/^[0-9a-f]{64}$/, "must be the 64 characters of the mailed link") });

/** One name of three kinds under any of three field names, with a password; or an address with a mailed code. */
export const loginBody = z
  .strictObject({
    identifier: anyText(254).optional(),
    username: anyText(254).optional(),
    email: anyText(254).optional(),
    password: password.optional(),
    code: code.optional(),
  })
  .superRefine((body, context) => {
    const names = [body.identifier, body.username, body.email].filter((name) => name !== undefined);
    if (names.length !== 1)
      context.addIssue({ code: "custom", path: ["identifier"], message: "send one of identifier, username or email" });
    if ((body.password === undefined) === (body.code === undefined)) {
      context.addIssue({ code: "custom", path: [body.code === undefined ? "password" : "code"], message: "send either password or code" });
    } else if (body.code !== undefined && body.email === undefined) {
      context.addIssue({ code: "custom", path: ["email"], message: "a code goes with the email it was sent to" });
    }
  });

export const refreshBody = z.strictObject({ refresh_token: z.string().min(1).max(200) });
export const logoutBody = z.strictObject({
  all: z.boolean().optional().meta({ description: "End every session, not just this one" }),
  refresh_token: z
    .string()
    .max(200)
    .optional()
    .meta({ description: "Accepted for clients that send it; the access token says which session ends" }),
});
export const profileBody = z
  .strictObject({ display_name: line(100).nullable().optional(), locale: locale.optional(), time_zone: timeZone.optional() })
  .refine((body) => Object.keys(body).length > 0, {
    path: ["display_name"],
    message: "send at least one of display_name, locale, time_zone",
  });

export { limits, limitsOfAccounts, spend };

/** A moment to come, ISO 8601 with its offset, at most 100 years away. */
export const futureTime = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((time) => time.getTime() > Date.now(), "must be in the future")
  .refine((time) => time.getTime() < Date.now() + 100 * 366 * 86_400_000, "must be within 100 years");

/** What a key and a token may be told alike. */
export const keyFields = {
  expires_at: futureTime.nullable().optional(),
  limits: limits.nullable().optional(),
  models: z
    .array(line(200))
    .min(1)
    .max(200)
    .nullable()
    .optional()
    .meta({ description: "Names of the models that may be used; null for all" }),
  allowed_ips: z
    .array(z.string().max(64).refine(isAddressOrRange, "must be an IP address or CIDR range"))
    .min(1)
    .max(200)
    .nullable()
    .optional()
    .meta({ description: "Addresses and CIDR ranges it may be used from; null for all", examples: [["203.0.113.7", "10.0.0.0/8"]] }),
};
const cacheSeconds = z
  .number()
  .int()
  .min(1)
  .max(2_592_000)
  .nullable()
  .optional()
  .meta({ description: "How long an answer is kept and given again, at a share of its price, to the very same call; null for not at all" });
export const createKeyBody = z.strictObject({ name: line(100), ...keyFields, cache_seconds: cacheSeconds });
export const updateKeyBody = z
  .strictObject({
    name: line(100).optional(),
    status: z.enum(["active", "disabled"]).optional(),
    ...keyFields,
    cache_seconds: cacheSeconds,
  })
  .refine((body) => Object.keys(body).length > 0, { path: ["name"], message: "send at least one field to change" });
export const rotateKeyBody = z.strictObject({
  grace_seconds: z
    .number()
    .int()
    .min(0)
    .max(604_800)
    .default(86_400)
    .meta({ description: "How long the old key lives on; 0 to 7 days, 1 day unless told" }),
});

export const limitsView = z.looseObject({});
export const userView = z
  .object({
    id: z.string(),
    email: z.string(),
    username: z.string(),
    phone: z.string().nullable(),
    display_name: z.string().nullable(),
    email_verified: z.boolean(),
    roles: z.array(z.enum(ROLES)),
    status: z.enum(["active", "suspended", "closed"]),
    suspended_until: isoTime.nullable(),
    tier: z.string(),
    limits: limitsView,
    locale: z.string(),
    time_zone: z.string(),
    created_at: isoTime,
    last_sign_in_at: isoTime.nullable(),
  })
  .meta({ id: "User" });
export const signedIn = z.object({
  user: userView,
  access_token: z.string(),
  token: z.string().meta({ description: "The access token again, for older clients" }),
  refresh_token: z.string(),
  token_type: z.literal("Bearer"),
  expires_in: z.number().int(),
});
export const sessionView = z.object({
  id: z.string(),
  current: z.boolean(),
  ip: z.string().nullable(),
  user_agent: z.string().nullable(),
  created_at: isoTime,
  last_used_at: isoTime,
  expires_at: isoTime,
});
export const keyView = z
  .object({
    id: z.string(),
    name: z.string(),
    prefix: z.string(),
    status: z.enum(["active", "disabled", "revoked", "expired"]),
    limits: limitsView,
    models: z.array(z.string()).nullable(),
    allowed_ips: z.array(z.string()).nullable(),
    cache_seconds: z.number().int().nullable(),
    expires_at: isoTime.nullable(),
    previous_expires_at: isoTime.nullable(),
    created_at: isoTime,
    revoked_at: isoTime.nullable(),
    last_used_at: isoTime.nullable().meta({ description: "Exact to the minute" }),
    last_used_from: z.string().nullable().meta({ description: "The address it was last used from" }),
  })
  .meta({ id: "ApiKey" });
export const newKeyView = keyView.extend({ key: z.string().meta({ description: "Shown this once" }) });
