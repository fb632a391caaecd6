import { AppError } from "../../platform/errors.ts";
import { isConnectionError } from "../../platform/postgres.ts";
import { HeldUp } from "./busy.ts";

const ATTEMPTS = 4;

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? "");
const isSqlState = (code: string): boolean => /^[0-9A-Z]{5}$/.test(code);

/**
 * Postgres chose this transaction to give way, a lock did not become free in time, or the connection went: the same again is right, for every
 * step is idempotent.
 */
const isWorthRepeating = (error: unknown): boolean => ["40P01", "40001", "55P03"].includes(codeOf(error)) || isConnectionError(error);

/**
 * The values are at fault, not the moment: the same again fails again. Of Postgres that is an error in data or a constraint, or what a
 * function of ours refuses (class P0); and whatever our own code trips over, which nobody can tell before.
 */
function isTheirFault(error: unknown): boolean {
  const code = codeOf(error);
  if (error instanceof HeldUp) return false;
  if (error instanceof AppError) return error.code !== "unavailable";
  if (isSqlState(code)) return /^(?:2[123]|P0)/.test(code);
  return !isConnectionError(error);
}

/**
 * Runs a batch that is done or not done as a whole. One that cannot be done must not take its batch along: where the values are at fault
 * the batch is halved until it stands `alone`, and the others are done. Never rejects; what is nobody's fault is the answer of those it met.
 */
export async function isolating<Item, Answer>(
  items: readonly Item[],
  run: (items: readonly Item[]) => Promise<Answer[]>,
  alone: (item: Item, error: Error) => Promise<Answer>,
  attempt = 1,
): Promise<(Answer | Error)[]> {
  try {
    return await run(items);
  } catch (error) {
    if (isWorthRepeating(error) && attempt < ATTEMPTS) return isolating(items, run, alone, attempt + 1);
    if (!isTheirFault(error)) return items.map(() => error as Error);
    if (items.length === 1) return [await alone(items[0]!, error as Error).catch((cause: unknown) => cause as Error)];
    const middle = items.length >> 1;
    const first = await isolating(items.slice(0, middle), run, alone);
    return [...first, ...(await isolating(items.slice(middle), run, alone))];
  }
}
