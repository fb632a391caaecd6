import { pino, type Logger } from "pino";

export type { Logger };

/** Paths that never reach a log line, at the top level and one level down. */
const SECRET_KEYS = [
  "password",
  "current_password",
  "new_password",
  "code",
  "token",
  "access_token",
  "refresh_token",
  "api_key",
  "apiKey",
  "key",
  "secret",
  "authorization",
  "cookie",
  "sign",
  "signature",
  "x-api-key",
  "set-cookie",
];

/** JSON logs on standard output; `level` is a pino level or "silent". `context` gives fields that say which request a line belongs to, if any. */
export function createLogger(options: { level: string; name: string; context?: () => object }): Logger {
  const { context } = options;
  return pino({
    level: options.level,
    base: { service: options.name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    ...(context ? { mixin: context } : {}),
    redact: {
      paths: SECRET_KEYS.flatMap((key) => [`["${key}"]`, `*["${key}"]`]),
      censor: "[redacted]",
    },
  });
}
