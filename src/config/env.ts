import { z } from "zod";
import { parseCredits } from "../platform/credits.ts";
import { parseDecimal } from "../platform/decimal.ts";

/** Readers for the kinds of value that environment variables hold. Each error says what a good value looks like. */

export const text = (fallback?: string) => (fallback === undefined ? z.string().min(1) : z.string().min(1).default(fallback));

export const url = (...protocols: string[]) =>
  z.string().refine(
    (value) => {
      try {
        return protocols.includes(new URL(value).protocol.replace(":", ""));
      } catch {
        return false;
      }
    },
    { message: `must be a URL beginning with ${protocols.map((name) => `${name}://`).join(" or ")}` },
  );

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, { message: `must be a whole number from ${min} to ${max}` });

export const integer = (fallback: number, min: number, max: number) => wholeNumber(min, max).default(fallback);

/** A number from 0 to 1. */
export const fraction = (fallback: string) =>
  z
    .string()
    .regex(/^(0(\.\d+)?|1(\.0+)?)$/, "must be a number from 0 to 1 such as 0.01")
    .default(fallback)
    .transform(Number);

export const optionalPort = () => wholeNumber(1, 65_535).optional();

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "500ms", "30s", "15m", "2h", "30d" → milliseconds. */
export const duration = (fallback: string) =>
  z
    .string()
    .regex(/^\d+(ms|s|m|h|d)$/, "must be a duration such as 500ms, 30s, 15m, 2h or 30d")
    .default(fallback)
    .transform((value) => {
      const [, digits = "0", unit = "ms"] = /^(\d+)(\D+)$/.exec(value) ?? [];
      return Number(digits) * UNITS[unit]!;
    });

export const flag = (fallback: boolean) =>
  z
    .enum(["true", "false", "1", "0"], { message: "must be true or false" })
    .default(fallback ? "true" : "false")
    .transform((value) => value === "true" || value === "1");

/** Credits as a decimal, at most 6 places → micro-credits. */
export const credits = (fallback: string) =>
  z
    .string()
    .refine((value) => parseCredits(value) !== undefined, { message: "must be an amount of credits such as 100 or 0.5" })
    .default(fallback)
    .transform((value) => parseCredits(value)!);

/** Yuan as a decimal, at most 2 places → fen. */
export const yuan = (fallback: string) =>
  z
    .string()
    .refine((value) => parseDecimal(value, 2, { maxDigits: 9 }) !== undefined, { message: "must be an amount of yuan such as 50 or 0.50" })
    .default(fallback)
    .transform((value) => parseDecimal(value, 2, { maxDigits: 9 })!);

export const list = (fallback = "") =>
  z
    .string()
    .default(fallback)
    .transform((value) =>
      value
        .split(",")
        .map((item) => item.trim())
        .filter(Boolean),
    );

/** "id:secret,id:secret": the first makes new values, all are accepted, so that secrets can be rotated. */
export const secrets = (options: { minLength: number; exactBytes?: number }) =>
  z
    .string()
    .transform((value) =>
      value.split(",").map((pair) => {
        const cut = pair.indexOf(":");
        const id = pair.slice(0, cut);
        const body = pair.slice(cut + 1);
        return { id, secret: options.exactBytes ? Buffer.from(body, "base64") : Buffer.from(body, "utf8") };
      }),
    )
    .refine((all) => all.every(({ id }) => /^[A-Za-z0-9_-]{1,32}$/.test(id)), { message: "must be id:secret, several separated by commas" })
    .refine(
      (all) => all.every(({ secret }) => (options.exactBytes ? secret.length === options.exactBytes : secret.length >= options.minLength)),
      {
        message: options.exactBytes
          ? `each secret must be ${options.exactBytes} bytes in base64`
          : `each secret must have at least ${options.minLength} characters`,
      },
    );
