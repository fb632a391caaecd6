import type { Check, Fields, Problem } from "../checks.ts";

/** A field that the other format has no word for, and that would change the answer. */
const unknown = "is not offered for this model";

/**
 * The first field that cannot be said in the other format, or undefined. `converted` have a place there, `harmless` change nothing of the
 * answer and are left out; others may be there only when their check finds nothing wrong, and what is not known at all may not.
 */
export function unconvertible(
  body: Readonly<Fields>,
  rules: { converted: ReadonlySet<string>; harmless: ReadonlySet<string>; only: Record<string, Check> },
): Problem | undefined {
  for (const name in body) {
    const value = body[name];
    if (value === undefined || value === null || rules.converted.has(name) || rules.harmless.has(name)) continue;
    const check = Object.hasOwn(rules.only, name) ? rules.only[name] : undefined;
    const message = check ? check(value) : unknown;
    if (message !== undefined) return { param: name, message };
  }
  return undefined;
}

/** Only this value, which is what the other format does anyway. */
export const onlyValue =
  (...allowed: unknown[]): Check =>
  (value) =>
    allowed.includes(value) ? undefined : `${unknown}, other than ${allowed.map((one) => JSON.stringify(one)).join(" or ")}`;
