import fc from "fast-check";
import type { BudgetUnit } from "../../../src/ledger/index.ts";

export const WALLETS = 3;
/** Counters that any wallet's holds may count on. */
export const BUDGETS: readonly { name: string; period: string; unit?: BudgetUnit }[] = [
  { name: "key:a", period: "total" },
  { name: "key:b", period: "total" },
  { name: "user:a", period: "qc:2031-01-01T00:00Z" },
  { name: "team:a", period: "total" },
  { name: "user:r", period: "qr:2031-01-01T00:00Z", unit: "requests" },
  { name: "user:t", period: "qt:2031-01-01T00:00Z", unit: "tokens" },
  { name: "key:t", period: "qt:2031-01-01T00:00Z", unit: "tokens" },
];

const wallet = fc.nat(WALLETS - 1);
const amount = fc.bigInt({ min: 1n, max: 400n });
/** Which of the ids used so far, counted from the newest; a new one when there are fewer. */
const earlier = fc.oneof({ weight: 8, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(5) });
/** Years from now; a negative one has expired already when it is credited. */
const expiry = fc.oneof(fc.constant(undefined), fc.constant(-1), fc.integer({ min: 1, max: 5 }));
const picks = fc.array(fc.nat(12), { minLength: 1, maxLength: 6 });

/** Any command to the ledger, for the random test. */
export const command = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("credit" as const), wallet, amount, priority: fc.integer({ min: 1, max: 3 }), expiry, earlier }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("debit" as const), wallet, amount, earlier }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("authorize" as const),
      holds: fc.array(
        fc.record({
          wallet,
          amount: fc.bigInt({ min: 0n, max: 300n }),
          min: fc.option(fc.bigInt({ min: 0n, max: 100n })),
          short: fc.boolean(),
          budgets: fc.oneof(fc.constant<number[]>([]), fc.subarray(BUDGETS.map((_, n) => n))),
          limit: fc.bigInt({ min: 0n, max: 2_000n }),
          counts: fc.record({
            requests: fc.bigInt({ min: 0n, max: 300n }),
            tokens: fc.bigInt({ min: 0n, max: 300n }),
            leastTokens: fc.option(fc.bigInt({ min: 1n, max: 100n })),
          }),
          earlier,
        }),
        { minLength: 1, maxLength: 8 },
      ),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("settle" as const),
      items: fc.array(
        fc.record({
          pick: fc.nat(12),
          /** Of the hold, in percent. */
          share: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 160 })),
          render: fc.boolean(),
          lost: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
          /** It could not be capped: what is not charged of it is owed. */
          uncapped: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
          /** What it costs when there never was a hold. */
          unheld: fc.option(fc.bigInt({ min: 0n, max: 400n }), { freq: 3 }),
          earlier,
        }),
        { minLength: 1, maxLength: 8 },
      ),
      crash: fc.integer({ min: 0, max: 7 }).map((n) => n === 0),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("release" as const), picks }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("extend" as const), picks }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("pin" as const), picks }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("note" as const), pick: fc.nat(12), tokens: fc.bigInt({ min: 0n, max: 400n }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("sweep" as const), years: fc.constantFrom(0, 1, 9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("expire" as const), years: fc.integer({ min: 0, max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
);
export type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;
