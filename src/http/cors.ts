import type { RequestHandler } from "express";

const METHODS = "GET, POST, PUT, PATCH, DELETE";
const FIGURES = ["limit", "remaining", "reset"];
const EXPOSED = [
  "x-request-id",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
  ...["requests", "tokens"].flatMap((kind) => FIGURES.map((figure) => `x-ratelimit-${figure}-${kind}`)),
  ...["requests", "tokens", "input-tokens", "output-tokens"].flatMap((kind) =>
    FIGURES.map((figure) => `anthropic-ratelimit-${kind}-${figure}`),
  ),
  "x-tollkeeper-price-version",
  "x-tollkeeper-attempts",
  "x-tollkeeper-cost",
].join(", ");
const HEADERS = "authorization, content-type, idempotency-key, x-api-key, x-request-id";

/** Lets browsers on the listed origins call the API; with an empty list none may. Tokens travel in headers, so no credentials mode. */
export function allowOrigins(origins: string[]): RequestHandler {
  const allowed = new Set(origins.map((origin) => origin.replace(/\/+$/, "")));
  return (req, res, next) => {
    const origin = req.get("origin");
    if (origin !== undefined && (allowed.has(origin) || allowed.has("*"))) {
      res.setHeader("Access-Control-Allow-Origin", origin);
      res.setHeader("Access-Control-Expose-Headers", EXPOSED);
      res.vary("Origin");
      if (req.method === "OPTIONS") {
        res.setHeader("Access-Control-Allow-Methods", METHODS);
        res.setHeader("Access-Control-Allow-Headers", HEADERS);
        res.setHeader("Access-Control-Max-Age", "600");
        res.status(204).end();
        return;
      }
    }
    next();
  };
}
