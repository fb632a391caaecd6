import type { Figures } from "./types.ts";

/** What the headers tell: the tightest figures of each kind. */
interface Told {
  requests: Figures | undefined;
  tokens: Figures | undefined;
}

/** A duration as OpenAI writes it: "12ms", "1s", "1.5s", "6m0s". */
export function formatReset(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  if (ms < 60_000) return `${Math.round(ms) / 1_000}s`;
  const seconds = Math.round(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  const rest = `${minutes % 60}m${seconds % 60}s`;
  return minutes >= 60 ? `${Math.floor(minutes / 60)}h${rest}` : rest;
}

let writtenSecond = -1;
let written = "";

/** A moment as Anthropic writes it, RFC 3339 in whole seconds, never too early. */
export function formatMoment(ms: number): string {
  const second = Math.ceil(ms / 1_000);
  if (second !== writtenSecond) {
    writtenSecond = second;
    written = `${new Date(second * 1_000).toISOString().slice(0, 19)}Z`;
  }
  return written;
}

function pushOpenai(headers: string[], kind: string, { limit, remaining, resetMs }: Figures): void {
  headers.push(
    `x-ratelimit-limit-${kind}`,
    String(limit),
    `x-ratelimit-remaining-${kind}`,
    String(remaining),
    `x-ratelimit-reset-${kind}`,
    formatReset(resetMs),
  );
}

function pushAnthropic(headers: string[], kind: string, { limit, remaining, resetMs }: Figures): void {
  headers.push(
    `anthropic-ratelimit-${kind}-limit`,
    String(limit),
    `anthropic-ratelimit-${kind}-remaining`,
    String(remaining),
    `anthropic-ratelimit-${kind}-reset`,
    formatMoment(Date.now() + resetMs),
  );
}

/**
 * Adds the headers about rates to a flat list of names and values, in the vendor's own names. Prompt and answer share one limit here, so
 * Anthropic's clients are told the same of input and output tokens as of tokens.
 */
export function addRateHeaders(headers: string[], vendor: "openai" | "anthropic", { requests, tokens }: Told): void {
  if (vendor === "openai") {
    if (requests) pushOpenai(headers, "requests", requests);
    if (tokens) pushOpenai(headers, "tokens", tokens);
    return;
  }
  if (requests) pushAnthropic(headers, "requests", requests);
  if (!tokens) return;
  for (const kind of ["tokens", "input-tokens", "output-tokens"]) pushAnthropic(headers, kind, tokens);
}
