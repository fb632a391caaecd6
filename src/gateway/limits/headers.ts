import type { RateFigures } from "./types.ts";

/** A duration as OpenAI writes it: "12ms", "1s", "1.5s", "6m0s". */
export function formatReset(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${Number(seconds.toFixed(3))}s`;
  const minutes = Math.floor(seconds / 60);
  const rest = Math.round(seconds - minutes * 60);
  const hours = Math.floor(minutes / 60);
  return hours > 0 ? `${hours}h${minutes % 60}m${rest}s` : `${minutes}m${rest}s`;
}

/** Sets the request-rate headers that OpenAI's clients read. */
export function setRateHeaders(res: { setHeader(name: string, value: string): unknown }, rate: RateFigures): void {
  res.setHeader("x-ratelimit-limit-requests", String(rate.limit));
  res.setHeader("x-ratelimit-remaining-requests", String(rate.remaining));
  res.setHeader("x-ratelimit-reset-requests", formatReset(rate.resetMs));
}
