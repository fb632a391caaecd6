import type { Logger } from "../platform/logger.ts";

/** How long a report of what ends the process may take. */
const LAST_WORDS_MS = 3_000;

/**
 * Runs `stop` once at SIGTERM or SIGINT and then exits 0; a second signal or `limitMs` without an end exits 1. A rejection that nobody
 * handles is logged; an exception that nobody catches is logged and ends the process: a supervisor starts it again, and every step is safe to
 * be cut anywhere.
 */
export function onShutdown(options: { log: Logger; limitMs: number; stop: () => Promise<void>; flushReports: () => Promise<void> }): void {
  const { log, limitMs, stop, flushReports } = options;
  let stopping = false;
  const end = (signal: NodeJS.Signals): void => {
    if (stopping) {
      log.warn("stopped at once at a second signal");
      process.exit(1);
    }
    stopping = true;
    log.info({ signal }, "stopping");
    setTimeout(() => {
      log.error("the stop took too long");
      process.exit(1);
    }, limitMs).unref();
    stop().then(
      () => {
        log.info("stopped");
        process.exit(0);
      },
      (error: unknown) => {
        log.error({ err: error }, "the stop failed");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  process.on("unhandledRejection", (reason) => log.error({ err: reason }, "unhandled rejection"));
  const die = async (thrown: unknown): Promise<void> => {
    log.fatal({ err: thrown }, "uncaught exception");
    // Nothing can be relied on any more, so this too has an end.
    setTimeout(() => process.exit(1), LAST_WORDS_MS).unref();
    await flushReports().catch(() => undefined);
    process.exit(1);
  };
  process.on("uncaughtException", (thrown) => void die(thrown));
}
