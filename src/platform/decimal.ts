/**
 * Exact decimal text to scaled bigint. Refuses signs (unless `signed`), exponents, spaces, separators, full-width digits and
 * more decimals than `scale`, by returning undefined. "50", "50.0" and "50.00" are equal.
 */
export function parseDecimal(text: string, scale: number, options: { signed?: boolean; maxDigits?: number } = {}): bigint | undefined {
  const match = /^(-?)([0-9]+)(?:\.([0-9]+))?$/.exec(text);
  if (!match) return undefined;
  const [, sign = "", whole = "", fraction = ""] = match;
  if (sign && !options.signed) return undefined;
  if (whole.length > (options.maxDigits ?? 12)) return undefined;
  if (fraction.length > scale) return undefined;
  const value = BigInt(whole + fraction.padEnd(scale, "0"));
  return sign ? -value : value;
}

/** Scaled bigint to decimal text without trailing zeros beyond `minDecimals`: formatDecimal(93500000n, 6) is "93.5". */
export function formatDecimal(value: bigint, scale: number, minDecimals = 0): string {
  const negative = value < 0n;
  const digits = (negative ? -value : value).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  let fraction = scale === 0 ? "" : digits.slice(digits.length - scale).replace(/0+$/, "");
  if (fraction.length < minDecimals) fraction = fraction.padEnd(minDecimals, "0");
  return `${negative ? "-" : ""}${whole}${fraction ? `.${fraction}` : ""}`;
}
