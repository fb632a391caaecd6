import type { Runner, Suite } from "mocha";
import { cleanUp } from "./cleanup.ts";
import { startInfra } from "./infra.ts";

/** Loaded by mocha before any test (see .mocharc.cjs). */

process.setSourceMapsEnabled(true);

function filesOf(suite: Suite): string[] {
  return suite.suites.flatMap((child) => [child.file ?? "", ...filesOf(child)]);
}

/** Starts the servers, unless only unit tests run. */
export async function mochaGlobalSetup(this: Runner): Promise<void> {
  let stopping = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      void cleanUp().then(() => process.exit(130));
    });
  }
  if (filesOf(this.suite).some((file) => !/[\\/]test[\\/]unit[\\/]/.test(file))) await startInfra();
}

export async function mochaGlobalTeardown(): Promise<void> {
  await cleanUp();
}
