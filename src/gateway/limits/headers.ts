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

/** Adds the request-rate headers that OpenAI's clients read to a flat list of names and values. */
export function addRateHeaders(headers: string[], rate: RateFigures): void {
  headers.push(
    "x-ratelimit-limit-requests",
    String(rate.limit),
    "x-ratelimit-remaining-requests",
    String(rate.remaining),
    "x-ratelimit-reset-requests",
    formatReset(rate.resetMs),
  );
}
