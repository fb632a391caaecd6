import { inBatches } from "../../platform/inBatches.ts";
import type { Pool } from "../../platform/postgres.ts";
import { LATE_MS } from "./message.ts";
import { forgetRefusals } from "./refusals.ts";

/**
 * How long it is remembered which messages came before. The rule: a message is refused as too old {@link LATE_MS} after its own time, and a
 * relayed run can be asked for again that long after it was last; so nothing is forgotten that could still be taken, and whoever repeats
 * what is forgotten is told that it is too old. The days beyond are for clocks that differ and calls that take long.
 */
export const KEPT_MS = 2 * LATE_MS + 10 * 86_400_000;

/** Below every id that `uuidv7` makes at this time or later. */
const lowestId = (time: number): string =>
  Math.max(0, Math.floor(time))
    .toString(16)
    .padStart(12, "0")
    .replace(/^(.{8})(.{4})$/, "$1-$2-7000-8000-000000000000");

/** Forgets which messages and requests came long ago. In short transactions; safe at any time, twice, and on several workers. */
export async function forgetMessages(pool: Pool, now = Date.now()): Promise<{ keys: number; messages: number }> {
  const before = now - KEPT_MS;
  const count = async (text: string, values: unknown[]) => (await pool.query<{ gone: number }>(text, values)).rows[0]!.gone;
  return {
    keys: await inBatches((most) => count("SELECT dify_forget_keys($1, $2) AS gone", [lowestId(before), most])),
    messages: await inBatches((most) => count("SELECT usage_forget_messages($1, $2) AS gone", [new Date(before), most])),
  };
}

/** What the webhook has to tidy. Part of the regular housekeeping. */
export async function tidyDify(pool: Pool): Promise<void> {
  await forgetRefusals(pool);
  await forgetMessages(pool);
}
