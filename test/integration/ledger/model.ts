import type { Budget, BudgetState, HoldCounts, HoldOutcome, SettleResult } from "../../../src/ledger/index.ts";
import { burnDown, chargeFor, decideHold, expireDue, least, type Spendable, type Tolerance } from "../../../src/ledger/rules.ts";

interface ModelGrant extends Spendable {
  transferId: string;
}

interface ModelWallet {
  grants: ModelGrant[];
  /** What it could not pay, the oldest first. */
  shortfalls: { amount: bigint; collected: bigint }[];
}

interface ModelHold {
  wallet: number;
  amount: bigint;
  state: "held" | "settled" | "released" | "swept";
  /** Infinity when pinned. */
  expiresAt: number;
  /** Of each budget by its id, what is held there that is not of its amount. */
  budgets: Map<string, { tokens: boolean; count: bigint | undefined }>;
  /** What it used, once that is noted. */
  tokens?: bigint;
}

interface SettledItem {
  id: string;
  holdId: string | null;
  owes: boolean;
  wallet: number;
  cost: bigint;
  to: string;
}

/** The ledger as one would explain it on paper: wallets with grants, open holds, and what each system account has gained. */
export class ModelLedger {
  readonly wallets: ModelWallet[] = [];
  readonly holds = new Map<string, ModelHold>();
  readonly system = new Map<string, bigint>();
  /** What was spent of each budget, by its id. */
  readonly spent = new Map<string, bigint>();
  private readonly results = new Map<string, unknown>();
  private readonly tolerance: Tolerance;
  private nextGrant = 1n;

  constructor(wallets: number, tolerance: Tolerance) {
    this.tolerance = tolerance;
    for (let i = 0; i < wallets; i++) this.wallets.push({ grants: [], shortfalls: [] });
  }

  total(wallet: number): bigint {
    return this.wallets[wallet]!.grants.reduce((sum, grant) => sum + grant.remaining, 0n);
  }

  held(wallet: number): bigint {
    let sum = 0n;
    for (const hold of this.holds.values()) if (hold.wallet === wallet && hold.state === "held") sum += hold.amount;
    return sum;
  }

  available(wallet: number): bigint {
    return this.total(wallet) - this.held(wallet);
  }

  /** What a wallet owes. */
  owed(wallet: number): bigint {
    return this.wallets[wallet]!.shortfalls.reduce((sum, one) => sum + one.amount - one.collected, 0n);
  }

  /** What the counter of a budget says. */
  budget(id: string): BudgetState {
    let held = 0n;
    for (const hold of this.holds.values()) {
      const of = hold.budgets.get(id);
      if (hold.state === "held" && of) held += of.count ?? hold.amount;
    }
    return { spent: this.spent.get(id) ?? 0n, held };
  }

  credit(c: { id: string; wallet: number; amount: bigint; from: string; priority: number; expiresAt: Date | null }) {
    return this.once(c.id, () => {
      const grant = { id: this.nextGrant++, transferId: c.id, remaining: c.amount, priority: c.priority, expiresAt: c.expiresAt };
      this.wallets[c.wallet]!.grants.push(grant);
      this.gain(c.from, -c.amount);
      this.collect(c.wallet);
      return { balance: this.total(c.wallet) };
    });
  }

  debit(d: { id: string; wallet: number; amount: bigint; to: string }, now: Date) {
    if (!this.results.has(d.id)) {
      this.expire(d.wallet, now);
      const available = this.available(d.wallet);
      if (available < d.amount) return { kind: "refused", available, shortfall: d.amount - available };
    }
    return this.once(d.id, () => {
      this.burn(d.wallet, d.amount);
      this.gain(d.to, d.amount);
      return { kind: "ok", balance: this.total(d.wallet) };
    });
  }

  authorize(
    h: { id: string; wallet: number; amount: bigint; minAmount?: bigint; budgets?: readonly Budget[]; counts?: HoldCounts; ttlMs: number },
    now: Date,
  ): HoldOutcome | "closed" | "conflict" {
    const known = this.holds.get(h.id);
    this.expire(h.wallet, now);
    if (known) return known.wallet !== h.wallet ? "conflict" : known.state === "held" ? this.replay(known) : "closed";
    const budgets = (h.budgets ?? []).map((budget) => ({ ...budget, ...this.budget(budget.id) }));
    const outcome = decideHold(h, {
      total: this.total(h.wallet),
      available: this.available(h.wallet),
      owed: this.owed(h.wallet),
      budgets,
    });
    if (outcome.kind === "held") {
      this.holds.set(h.id, {
        wallet: h.wallet,
        amount: outcome.amount,
        state: "held",
        expiresAt: now.getTime() + h.ttlMs,
        budgets: new Map(
          budgets.map((budget) => {
            const { id, unit, limit, spent, held } = budget;
            const room = limit > spent + held ? limit - spent - held : 0n;
            const asked = unit === "requests" ? h.counts!.requests : h.counts!.tokens;
            return [id, { tokens: unit === "tokens", count: unit === undefined ? undefined : asked < room ? asked : room }];
          }),
        ),
      });
    }
    return outcome;
  }

  /** Only what calls count tokens on is noted, and only once. */
  note(id: string, tokens: bigint): void {
    const hold = this.holds.get(id);
    if (hold?.state === "held" && [...hold.budgets.values()].some(({ count }) => count !== undefined)) hold.tokens ??= tokens;
  }

  private replay(hold: ModelHold): HoldOutcome {
    const counts = [...hold.budgets.values()].flatMap(({ tokens, count }) => (tokens ? [count!] : []));
    const tokens = counts.length === 0 ? {} : { tokens: counts.reduce((a, b) => (a < b ? a : b)) };
    return { kind: "held", amount: hold.amount, available: this.available(hold.wallet), ...tokens };
  }

  extend(ids: string[], ttlMs: number, now: Date): string[] {
    const open = ids.filter((id) => this.holds.get(id)?.state === "held");
    for (const id of open) {
      const hold = this.holds.get(id)!;
      hold.expiresAt = Math.max(hold.expiresAt, now.getTime() + ttlMs);
    }
    return open;
  }

  pin(ids: string[]): void {
    for (const id of this.extend(ids, 0, new Date(0))) this.holds.get(id)!.expiresAt = Number.POSITIVE_INFINITY;
  }

  release(ids: string[]): void {
    for (const id of this.extend(ids, 0, new Date(0))) this.holds.get(id)!.state = "released";
    this.collectAll();
  }

  sweep(at: Date): string[] {
    const gone = [...this.holds].filter(([, hold]) => hold.state === "held" && hold.expiresAt <= at.getTime());
    for (const [, hold] of gone) hold.state = "swept";
    this.collectAll();
    return gone.map(([id]) => id);
  }

  /** The wallets of the batch are settled one after the other, each in the order given. */
  settle(items: SettledItem[], now: Date): Omit<SettleResult, "id">[] {
    const wallets = [...new Set(items.map((item) => item.wallet))];
    for (const wallet of wallets) this.expire(wallet, now);
    const answers = new Map<number, Omit<SettleResult, "id">>();
    for (const wallet of wallets) {
      items.forEach((item, n) => {
        if (item.wallet === wallet) answers.set(n, this.settleOne(item));
      });
      this.collect(wallet);
    }
    return items.map((_, n) => answers.get(n)!);
  }

  expireAll(at: Date): number {
    return this.wallets.filter((_, wallet) => this.expire(wallet, at) > 0n).length;
  }

  private settleOne(item: SettledItem) {
    return this.once(`settled:${item.id}`, () => {
      const hold = item.holdId === null ? undefined : this.holds.get(item.holdId);
      const open = hold?.state === "held" && hold.wallet === item.wallet ? hold : undefined;
      const available = this.available(item.wallet);
      const charged = chargeFor({ cost: item.cost, held: open?.amount, owes: item.owes }, { available }, this.tolerance);
      const owed = item.owes ? item.cost - charged : 0n;
      if (open) open.state = "settled";
      this.burn(item.wallet, charged);
      // Also on those of a hold that is closed already: what is charged counts where the call began.
      if (hold?.wallet === item.wallet) {
        for (const [id, { tokens, count }] of hold.budgets) {
          const counted = (tokens ? (hold.tokens ?? count) : count) ?? charged + owed;
          this.spent.set(id, (this.spent.get(id) ?? 0n) + counted);
        }
      }
      this.gain(item.to, charged);
      const balanceAfter = this.total(item.wallet);
      if (owed > 0n) {
        this.wallets[item.wallet]!.shortfalls.push({ amount: owed, collected: 0n });
        this.gain("unpaid", -owed);
        this.gain(item.to, owed);
      }
      return { charged, uncharged: item.cost - charged - owed, balanceAfter, holdMissing: item.holdId !== null && !open, owed };
    });
  }

  /** What a wallet has free pays what it owes. */
  private collect(wallet: number): void {
    for (const shortfall of this.wallets[wallet]!.shortfalls) {
      const part = least(shortfall.amount - shortfall.collected, this.available(wallet));
      if (part <= 0n) continue;
      shortfall.collected += part;
      this.burn(wallet, part);
      this.gain("unpaid", part);
    }
  }

  private collectAll(): void {
    this.wallets.forEach((_, wallet) => this.collect(wallet));
  }

  private expire(wallet: number, now: Date): bigint {
    // Grants of this test expired before its first hold, or expire long after its last.
    const heldBefore = (expiresAt: Date) => (expiresAt.getTime() > Date.now() ? this.held(wallet) : 0n);
    const burns = expireDue(this.wallets[wallet]!.grants, { available: this.available(wallet), heldBefore }, now);
    const taken = burns.reduce((sum, burn) => sum + burn.amount, 0n);
    this.apply(wallet, burns);
    if (taken > 0n) this.gain("expired", taken);
    return taken;
  }

  private burn(wallet: number, amount: bigint): void {
    this.apply(wallet, burnDown(this.wallets[wallet]!.grants, amount));
  }

  private apply(wallet: number, burns: { id: bigint; amount: bigint }[]): void {
    for (const burn of burns) this.wallets[wallet]!.grants.find((grant) => grant.id === burn.id)!.remaining -= burn.amount;
  }

  private gain(account: string, amount: bigint): void {
    this.system.set(account, (this.system.get(account) ?? 0n) + amount);
  }

  private once<T extends object>(id: string, work: () => T): T & { replayed: boolean } {
    const first = this.results.get(id) as T | undefined;
    if (first) return { ...first, replayed: true };
    const result = work();
    this.results.set(id, result);
    return { ...result, replayed: false };
  }
}
