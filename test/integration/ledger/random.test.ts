import { expect } from "chai";
import fc from "fast-check";
import type { HoldOutcome } from "../../../src/ledger/index.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { inTransaction } from "../../../src/platform/postgres.ts";
import { BUDGETS, command, WALLETS, type Command } from "./commands.ts";
import { isAppError } from "./errors.ts";
import { ModelLedger } from "./model.ts";
import { openLedger, TOLERANCE, useLedger } from "./support.ts";

/** TEST_SCALE=full plays more than 10,000 commands; a command may be a batch of several operations. */
const FULL = process.env["TEST_SCALE"] === "full";
const RUNS = FULL ? 60 : 10;
const COMMANDS = FULL ? 180 : 150;

const SYSTEM = ["expired", "unpaid", "revenue:usage", "revenue:render", "adjustments", "clearing:test"];
const MINUTE = 60_000;
const YEAR = 365 * 24 * 60 * MINUTE;

describe("any sequence of commands", function () {
  this.timeout(FULL ? 900_000 : 120_000);
  const rig = useLedger();

  it("leaves wallets, grants, holds, budgets, accounts and shortfalls exactly as a ledger on paper, across restarts", async () => {
    let played = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: COMMANDS, maxLength: COMMANDS, size: "max" }), async (commands) => {
        const game = await startGame();
        try {
          for (const one of commands) {
            await game.play(one);
            await game.compare();
            played += 1;
          }
        } finally {
          await game.end();
        }
      }),
      // A shrunk sequence would need a new wallet each time anyway; the seed printed on failure repeats the run.
      { numRuns: RUNS, endOnFailure: true },
    );
    expect(played).to.equal(RUNS * COMMANDS);
  });

  /** One run: its own wallets, a model of them, and the real ledger beside it. */
  async function startGame() {
    const wallets = await Promise.all(Array.from({ length: WALLETS }, () => rig.wallet()));
    const model = new ModelLedger(WALLETS, TOLERANCE);
    const budgetIds = BUDGETS.map(({ name }) => `${name}-${uuidv7()}`);
    const periods = BUDGETS.map(({ period }) => period);
    // Opened beforehand: a hold whose budget has no counter yet is asked for a second time, after the others of its batch.
    const all = <T>(value: T) => budgetIds.map(() => value);
    await rig.pool.query("SELECT ledger_open_budgets($1, $2, $3)", [budgetIds, periods, all(0)]);
    const before = await systemBalances();
    const used: Record<"credit" | "debit" | "hold" | "event", string[]> = { credit: [], debit: [], hold: [], event: [] };
    const credits = new Map<string, Extract<Command, { do: "credit" }>>();
    const debits = new Map<string, Extract<Command, { do: "debit" }>>();
    const asks = new Map<string, Extract<Command, { do: "authorize" }>["holds"][number]>();
    const events = new Map<
      string,
      { holdId: string | null; owes: boolean; wallet: number; cost: bigint; to: "revenue:usage" | "revenue:render" }
    >();
    let { pool, ledger } = openLedger(rig.url);

    function idFor(kind: keyof typeof used, back: number | undefined): { id: string; again: boolean } {
      const old = back === undefined ? undefined : used[kind].at(-1 - back);
      if (old !== undefined) return { id: old, again: true };
      const id = uuidv7();
      used[kind].push(id);
      return { id, again: false };
    }
    const order = (wallet: number) => Number(wallets[wallet]!);
    const recent = (pick: number) => used.hold.at(-1 - pick) ?? uuidv7();
    const inYears = (years: number) => new Date(Math.floor(Date.now() / 1_000) * 1_000 + years * YEAR);

    async function play(one: Command): Promise<void> {
      const now = new Date();
      switch (one.do) {
        case "credit": {
          const { id, again } = idFor("credit", one.earlier);
          const c = again ? credits.get(id)! : one;
          credits.set(id, c);
          const expiresAt = c.expiry === undefined ? null : inYears(c.expiry);
          const { balance, replayed } = model.credit({ ...c, id, from: "clearing:test", expiresAt });
          const result = await ledger.credit(pool, {
            id,
            walletId: wallets[c.wallet]!,
            amount: c.amount,
            from: "clearing:test",
            source: "bonus",
            type: "BONUS",
            priority: c.priority,
            expiresAt,
            description: "random",
          });
          expect(result).to.deep.equal({ transferId: id, balance, replayed });
          break;
        }
        case "debit": {
          const { id, again } = idFor("debit", one.earlier);
          const d = again ? debits.get(id)! : one;
          debits.set(id, d);
          const expected = model.debit({ ...d, id, to: "adjustments" }, now);
          const result = await ledger.debit(pool, {
            id,
            walletId: wallets[d.wallet]!,
            amount: d.amount,
            to: "adjustments",
            type: "ADMIN",
            description: "random",
          });
          expect(result).to.deep.include(expected);
          break;
        }
        case "authorize": {
          const holds = one.holds.map((asked) => {
            const { id, again } = idFor("hold", asked.earlier);
            const hold = again ? asks.get(id)! : asked;
            asks.set(id, hold);
            const minimum = hold.min === null || hold.min > hold.amount ? {} : { minAmount: hold.min };
            const budgets = hold.budgets.map((n) => {
              const { period, unit } = BUDGETS[n]!;
              return { id: budgetIds[n]!, period, limit: hold.limit * BigInt(n + 1), ...(unit ? { unit } : {}) };
            });
            const { leastTokens, ...most } = hold.counts;
            const counts = leastTokens === null || leastTokens > most.tokens ? most : { ...most, leastTokens };
            return { id, wallet: hold.wallet, amount: hold.amount, ttlMs: hold.short ? MINUTE : 2 * YEAR, budgets, counts, ...minimum };
          });
          // A batch serves one wallet after the other, each in order; what one holds, a budget they share has less for the next.
          const served = holds.map((hold, n) => ({ hold, n })).sort((a, b) => order(a.hold.wallet) - order(b.hold.wallet) || a.n - b.n);
          const expected: unknown[] = [];
          for (const { hold, n } of served) expected[n] = withoutRest(model.authorize(hold, now));
          const outcomes = await Promise.all(
            holds.map(({ wallet, ...hold }) =>
              ledger.authorize({ ...hold, walletId: wallets[wallet]!, owner: "random" }).then(withoutRest, (error: unknown) => {
                if (isAppError(error)) return error.code === "invalid_state" ? "closed" : error.code;
                throw error;
              }),
            ),
          );
          expect(outcomes).to.deep.equal(expected);
          break;
        }
        case "settle": {
          const items = one.items.map((item) => {
            const { id, again } = idFor("event", item.earlier);
            if (!again) {
              const holdId = item.unheld !== null ? null : item.lost ? uuidv7() : recent(item.pick);
              const hold = holdId === null ? undefined : model.holds.get(holdId);
              const cost = item.unheld !== null ? item.unheld : hold ? (hold.amount * BigInt(item.share)) / 100n : BigInt(item.share);
              events.set(id, {
                holdId,
                owes: holdId === null || item.uncapped,
                wallet: hold?.wallet ?? item.pick % WALLETS,
                cost,
                to: item.render ? "revenue:render" : "revenue:usage",
              });
            }
            return { id, ...events.get(id)! };
          });
          const settled = (crash: boolean) =>
            inTransaction(pool, async (tx) => {
              const asked = items.map(({ wallet, ...item }) => ({
                ...item,
                walletId: wallets[wallet]!,
                type: "CONSUMPTION" as const,
                description: "random",
                reference: item.id,
              }));
              const foreseen = await ledger.foresee(tx, asked);
              const results = await ledger.settle(tx, asked);
              expect(foreseen).to.deep.equal(results.filter(({ replayed }) => !replayed));
              if (crash) throw new Error("crash");
              return results;
            });
          if (one.crash) expect(await settled(true).catch((error: Error) => error.message)).to.equal("crash");
          const expected = model.settle(items, now);
          expect(await settled(false)).to.deep.equal(expected.map((answer, n) => ({ id: items[n]!.id, ...answer })));
          break;
        }
        case "release":
          model.release(one.picks.map(recent));
          await ledger.release(one.picks.map((pick) => used.hold.at(-1 - pick) ?? uuidv7()));
          break;
        case "extend": {
          const ids = [...new Set(one.picks.map(recent))];
          expect((await ledger.extend(ids, 5 * YEAR)).sort()).to.deep.equal(model.extend(ids, 5 * YEAR, now).sort());
          break;
        }
        case "pin": {
          const ids = one.picks.map(recent);
          model.pin(ids);
          await pool.query("SELECT ledger_pin_holds($1)", [ids]);
          break;
        }
        case "note": {
          const id = recent(one.pick);
          model.note(id, one.tokens);
          await pool.query("SELECT ledger_note_tokens($1, $2)", [[id], [one.tokens]]);
          break;
        }
        case "sweep": {
          const at = new Date(now.getTime() + one.years * YEAR + 30 * MINUTE);
          const mine = (await ledger.sweep(at, 1_000_000)).filter((hold) => wallets.includes(hold.walletId));
          expect(mine.map((hold) => hold.id).sort()).to.deep.equal(model.sweep(at).sort());
          break;
        }
        case "expire": {
          const at = inYears(one.years);
          model.expireAll(at);
          await ledger.expireGrants(at, 1_000_000);
          break;
        }
        case "restart":
          await ledger.close();
          await pool.end();
          ({ pool, ledger } = openLedger(rig.url));
          break;
      }
    }

    async function compare(): Promise<void> {
      const accounts = await pool.query<{ id: bigint; balance: bigint; held: bigint; shortfall: bigint }>(
        "SELECT id, balance, held, shortfall FROM ledger_accounts WHERE id = ANY ($1) ORDER BY id",
        [wallets],
      );
      const grants = await pool.query<{ transfer_id: string; remaining: bigint }>(
        "SELECT transfer_id, remaining FROM ledger_grants WHERE wallet_id = ANY ($1)",
        [wallets],
      );
      const real = new Map(accounts.rows.map((row) => [row.id, row]));
      wallets.forEach((id, n) => {
        expect(real.get(id)).to.include({ balance: model.total(n), held: model.held(n), shortfall: model.owed(n) });
      });
      const budgets = await ledger.budgets(budgetIds.map((id, n) => ({ id, period: periods[n]! })));
      expect(budgets).to.deep.equal(budgetIds.map((id) => model.budget(id)));
      const paper = model.wallets.flatMap((one) => one.grants.map((grant) => [grant.transferId, grant.remaining] as const));
      expect(new Map(grants.rows.map((row) => [row.transfer_id, row.remaining]))).to.deep.equal(new Map(paper));
    }

    async function end(): Promise<void> {
      const after = await systemBalances();
      await ledger.close();
      await pool.end();
      // Schedules are for everybody: what they took from wallets of earlier runs is in these too.
      const shared = new Set(["expired", "unpaid"]);
      for (const code of SYSTEM.filter((name) => !shared.has(name))) {
        expect(after.get(code)! - before.get(code)!, code).to.equal(model.system.get(code) ?? 0n);
      }
      expect((await rig.ledger.verify()).differences).to.deep.equal([]);
    }

    return { play, compare, end };
  }

  /**
   * What is left after a hold is said for all of a batch, on paper after each. What budgets of tokens leave it is said only when that may
   * be less than it asked for; what it holds of them is compared with the counters.
   */
  function withoutRest(outcome: HoldOutcome | string): unknown {
    return typeof outcome === "string" || outcome.kind === "refused" ? outcome : { kind: "held", amount: outcome.amount };
  }

  async function systemBalances(): Promise<Map<string, bigint>> {
    const { rows } = await rig.pool.query<{ code: string; balance: bigint }>(
      "SELECT code, balance FROM ledger_accounts WHERE kind = 'system'",
    );
    return new Map([...SYSTEM.map((code) => [code, 0n] as const), ...rows.map((row) => [row.code, row.balance] as const)]);
  }
});
