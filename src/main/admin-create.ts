import { randomText } from "../platform/ids.ts";
import { createLedger } from "../ledger/index.ts";
import { ensureAdmin } from "../identity/index.ts";
import { createLogger } from "../platform/logger.ts";
import { createPool } from "../platform/postgres.ts";
import { AppError } from "../platform/errors.ts";
import { parseArgs } from "node:util";
import { z } from "zod";
import { databaseUrl } from "./database-url.ts";

/** `npm run admin:create -- --email … [--password …]`: makes an operator with the role admin, or gives the role to an account that exists. */

const USAGE = "usage: npm run admin:create -- --email <address> [--password <at least 10 characters>]";

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { email: { type: "string" }, password: { type: "string" } } });
  const email = z.email().safeParse(values.email);
  if (!email.success) throw new Error(`--email: must be an e-mail address\n${USAGE}`);
  const log = createLogger({ level: "warn", name: "admin-create" });
  const pool = createPool({ url: databaseUrl(), max: 2, name: "tollkeeper-admin-create", log });
  try {
    const ledger = createLedger({ pool, log, tolerance: { percent: 0, micro: 0n } });
    const password = values.password ?? randomText(20);
    const outcome = await ensureAdmin({ pool, ledger }, { email: email.data, password });
    if (outcome === "created" || outcome === "replaced") {
      console.log(`${email.data} is an admin now.`);
      if (values.password === undefined) console.log(`Password, shown this once: ${password}`);
    } else if (outcome === "promoted") console.log(`${email.data} had an account and is an admin now.`);
    else console.log(`${email.data} is an admin already.`);
  } finally {
    await pool.end();
  }
}

main().catch((error: unknown) => {
  const message = error instanceof AppError || error instanceof Error ? error.message : String(error);
  console.error(message.replace("ADMIN_PASSWORD", "--password"));
  process.exitCode = 1;
});
