/** Something that was logged as an error. */
export interface Problem {
  level: "error" | "fatal";
  /** The log line's own words. */
  message: string;
  error: unknown;
  /** The log line's fields; which of them are told is decided by the reporter. */
  fields: Readonly<Record<string, unknown>>;
}

/** Tells an error tracker about errors. Where there is none there is no such object. */
export interface ErrorReporter {
  /** Never throws and never waits. */
  report(problem: Problem): void;
  /** Sends what is on its way, for at most `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}

export interface ErrorReporterOptions {
  /** Where Sentry, or a service that speaks its protocol, takes events. */
  dsn: string;
  service: string;
  release: string;
  environment: string;
}

/** The reporter, when there is somebody to report to. Sentry's code is loaded only then. */
export async function createErrorReporter(
  options: Omit<ErrorReporterOptions, "dsn"> & { dsn: string | undefined },
): Promise<ErrorReporter | undefined> {
  const { dsn, ...rest } = options;
  if (dsn === undefined) return undefined;
  const { createSentryReporter } = await import("./sentry.ts");
  return createSentryReporter({ dsn, ...rest });
}
