import { appError } from "../platform/errors.ts";
import { patiently } from "../platform/locked.ts";
import { gatherBudgets, type BatchBudgets } from "./budgets.ts";
import { decideHold, least } from "./rules.ts";
import { list } from "./sql.ts";
import type { Budget, HoldOutcome, HoldRequest } from "./types.ts";

/** The statement that makes holds, and how its answer is read. */

export interface AuthorizedRow {
  kinds: ("held" | "refused" | "closed" | "conflict" | "unknown")[] | null;
  amounts: (string | null)[];
  availables: (string | null)[];
  totals: (string | null)[];
  spents: (string | null)[];
  helds: (string | null)[];
  counts: (string | null)[];
  wallets: string[];
  lefts: string[];
  shortfalls: (string | null)[];
}

/** Budgets that have no counter yet: it is to be opened, and the hold asked for again. */
interface Unopened {
  kind: "unopened";
  budgets: Budget[];
}

export type Answer = HoldOutcome | Unopened | Error;

const REST = "$2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13";

/**
 * A batch as one statement; each hold is decided on its own. `patient`: it is given up with a lock time-out when somebody keeps locked what it
 * needs; else it waits as long as it takes.
 */
export function holdStatement(batch: readonly HoldRequest[], { patient = false } = {}) {
  const limited = gatherBudgets(batch);
  const query = {
    name: patient ? "ledger_hold_patient" : "ledger_hold",
    text: patient ? `SELECT h.* FROM ${patiently("ledger_hold", "uuid[]", REST)} AS h` : `SELECT * FROM ledger_hold($1, ${REST})`,
    values: [
      list(batch.map((hold) => hold.id)),
      list(batch.map((hold) => hold.walletId)),
      list(batch.map((hold) => hold.amount)),
      list(batch.map((hold) => hold.minAmount ?? "NULL")),
      batch.map((hold) => hold.owner),
      list(batch.map((hold) => Math.ceil(hold.ttlMs))),
      ...limited.values,
    ],
  };
  return { query, answers: (row: AuthorizedRow): Answer[] => answers(batch, limited, row) };
}

function answers(batch: readonly HoldRequest[], { budgets }: BatchBudgets, row: AuthorizedRow): Answer[] {
  const { kinds } = row;
  if (kinds === null) return allHeld(batch, row);
  let place = 0;
  return batch.map((hold, i) => {
    const from = place;
    place += hold.budgets?.length ?? 0;
    switch (kinds[i]!) {
      case "held": {
        const outcome = { kind: "held" as const, amount: BigInt(row.amounts[i]!), available: BigInt(row.availables[i]!) };
        const counted = (hold.budgets ?? []).flatMap(({ unit }, n) => (unit === "tokens" ? [BigInt(row.counts[from + n]!)] : []));
        return counted.length === 0 ? outcome : { ...outcome, tokens: counted.reduce(least) };
      }
      case "refused": {
        const mine = budgets.slice(from, place);
        const missing = mine.filter((_, n) => row.spents[from + n] === null);
        if (missing.length > 0) return { kind: "unopened", budgets: missing };
        return decideHold(hold, {
          available: BigInt(row.availables[i]!),
          total: BigInt(row.totals[i]!),
          owed: BigInt(row.shortfalls[i]!),
          budgets: mine.map((budget, n) => ({ ...budget, spent: BigInt(row.spents[from + n]!), held: BigInt(row.helds[from + n]!) })),
        });
      }
      case "closed":
        return appError("invalid_state", { message: `The hold ${hold.id} is closed` });
      case "conflict":
        return appError("conflict", { message: `The hold ${hold.id} belongs to another wallet` });
      case "unknown":
        return appError("not_found", { message: "There is no such wallet" });
    }
  });
}

function allHeld(batch: readonly HoldRequest[], { wallets, lefts }: AuthorizedRow): Answer[] {
  if (wallets.length === 1) {
    const available = BigInt(lefts[0]!);
    return batch.map(({ amount }) => ({ kind: "held", amount, available }));
  }
  const left = new Map(wallets.map((wallet, i) => [BigInt(wallet), BigInt(lefts[i]!)]));
  return batch.map(({ amount, walletId }) => ({ kind: "held", amount, available: left.get(walletId)! }));
}
