import { pino, type DestinationStream, type LogFn, type Logger } from "pino";
import type { Problem } from "./reports/index.ts";

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

/**
 * JSON logs on standard output unless told; `level` is a pino level or "silent". `context` gives fields that say which request a line belongs to, if any;
 * `onProblem` hears of every line at level error or fatal.
 */
export function createLogger(options: {
  level: string;
  name: string;
  context?: () => object;
  onProblem?: ((problem: Problem) => void) | undefined;
  to?: DestinationStream;
}): Logger {
  const { context, onProblem } = options;
  const settings = {
    level: options.level,
    base: { service: options.name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    ...(context ? { mixin: context } : {}),
    ...(onProblem ? { hooks: { logMethod: tellingOf(onProblem, context) } } : {}),
    redact: {
      paths: SECRET_KEYS.flatMap((key) => [`["${key}"]`, `*["${key}"]`]),
      censor: "[redacted]",
    },
  };
  return options.to ? pino(settings, options.to) : pino(settings);
}

const ERROR = 50;
const FATAL = 60;

function tellingOf(onProblem: (problem: Problem) => void, context: (() => object) | undefined) {
  return function logMethod(this: Logger, args: Parameters<LogFn>, method: LogFn, level: number): void {
    method.apply(this, args);
    if (level < ERROR) return;
    const [first, second] = args as unknown[];
    const fields = { ...context?.(), ...(typeof first === "object" && first !== null && !(first instanceof Error) ? first : {}) } as Record<
      string,
      unknown
    >;
    onProblem({
      level: level >= FATAL ? "fatal" : "error",
      message: typeof first === "string" ? first : typeof second === "string" ? second : "",
      error: first instanceof Error ? first : fields["err"],
      fields,
    });
  };
}
