import { createLedger } from "../ledger/index.ts";
import { createLogger } from "../platform/logger.ts";
import { createPool } from "../platform/postgres.ts";
import { databaseUrl } from "./database-url.ts";

const url = databaseUrl();

const log = createLogger({ level: "silent", name: "ledger-verify" });
const pool = createPool({ url, max: 1, name: "tollkeeper-verify", log });
try {
  // The tolerance matters to settling only.
  const proof = await createLedger({ pool, log, tolerance: { percent: 0, micro: 0n } }).verify();
  console.log(`${proof.accounts} accounts, ${proof.transfers} transfers: ${proof.balanced ? "balanced" : "NOT BALANCED"}`);
  for (const { check, subject, expected, found } of proof.differences) {
    console.log(`  ${subject}: expected ${expected}, found ${found} (${check})`);
  }
  process.exitCode = proof.balanced ? 0 : 1;
} catch (error) {
  console.error(`The ledger could not be read: ${(error as Error).message}`);
  process.exitCode = 2;
} finally {
  await pool.end();
}
