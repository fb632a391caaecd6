import { ConfigError } from "../config/index.ts";

/** Runs `load`; a configuration error is printed as it is, without a stack, and ends the process with status 78 (EX_CONFIG of sysexits). */
export function exitOnConfigError<T>(load: () => T): T {
  try {
    return load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(78);
  }
}
