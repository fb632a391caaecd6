import { expect } from "chai";
import { createPermitWait } from "../../../src/gateway/limits/permitWait.ts";
import { MOST_OF_ACCOUNT, MOST_OF_KEY, type Waiter } from "../../../src/gateway/limits/permitQueue.ts";
import { checksOf, planOf, type Rules } from "../../../src/gateway/limits/plan.ts";
import type { Ask, LimitVerdict, Permit } from "../../../src/gateway/limits/types.ts";
import { createLocalLimiter } from "../../../src/gateway/limits/local.ts";
import { waitFor } from "../../support/waitFor.ts";

const LONG_MS = 60_000;
const START = 1_800_000_000_000;
const ann: Waiter = { userId: "u", keyId: "ann", tokenId: null };
const ben: Waiter = { userId: "u", keyId: "ben", tokenId: null };

/** Calls of keys of one account, each held against the account's places and its key's. */
function desk(rules: { user?: Rules; keys?: Record<string, Rules>; models?: Record<string, Rules> }, waitMs = LONG_MS) {
  const counted = createLocalLimiter();
  const limiter = {
    admit: (ask: Ask) => Promise.resolve(counted.admit(ask, START)),
    release(permit: Permit, tokens: number): void {
      counted.release(permit, tokens, START);
      permits.freed(permit);
    },
  };
  const permits = createPermitWait(limiter, waitMs);
  const order: string[] = [];
  const held = new Map<string, Permit>();
  const leaves = new Map<string, () => void>();
  let asked = 0;

  return {
    order,
    leave: (name: string) => leaves.get(name)!(),
    end(name: string) {
      limiter.release(held.get(name)!, 0);
    },
    /** A call of this name comes; resolves when it is decided. */
    async call(name: string, who: Waiter, model = "plain"): Promise<LimitVerdict | undefined> {
      asked += 1;
      const plan = planOf([
        ...checksOf("user", `user:${who.userId}`, rules.user ?? {}),
        ...checksOf("key", `key:${who.keyId}`, rules.keys?.[who.keyId ?? ""] ?? {}),
        ...checksOf("model", `model:${model}`, rules.models?.[model] ?? {}),
      ]);
      const ask = { plan, callId: `${name}-${asked}`, tokens: 0, weightPercent: 100 };
      const verdict = await permits.admit(ask, who, (leave) => leaves.set(name, leave));
      if (verdict?.allowed) {
        order.push(name);
        held.set(name, verdict.permit!);
      }
      return verdict;
    },
    waiting: (name: string) => waitFor(() => leaves.has(name), { timeoutMs: 1_000, everyMs: 1, message: `${name} to wait` }),
    begun: (count: number) => waitFor(() => order.length === count, { timeoutMs: 1_000, everyMs: 1, message: `${count} calls to run` }),
  };
}

describe("calls that wait for a place", () => {
  it("of one key get it in the order they came", async () => {
    const { call, waiting, begun, end, order } = desk({ user: { max_parallel: 1 } });
    await call("a0", ann);
    for (const name of ["a1", "a2", "a3"]) {
      void call(name, ann);
      await waiting(name);
    }
    for (const [i, name] of ["a0", "a1", "a2"].entries()) {
      end(name);
      await begun(i + 2);
    }
    expect(order).to.deep.equal(["a0", "a1", "a2", "a3"]);
  });

  it("of several keys get it in turn, however many wait of one", async () => {
    const { call, waiting, begun, end, order } = desk({ user: { max_parallel: 1 } });
    await call("a0", ann);
    for (const name of ["a1", "a2", "a3"]) {
      void call(name, ann);
      await waiting(name);
    }
    for (const name of ["b1", "b2"]) {
      void call(name, ben);
      await waiting(name);
    }
    for (let i = 0; i < 5; i++) {
      end(order.at(-1)!);
      await begun(i + 2);
    }
    expect(order).to.deep.equal(["a0", "a1", "b1", "a2", "b2", "a3"]);
  });

  it("are not passed by one who comes later, of another key too", async () => {
    const { call, waiting, begun, end, order } = desk({ user: { max_parallel: 1 } });
    await call("a0", ann);
    void call("a1", ann);
    await waiting("a1");
    end("a0");
    void call("b1", ben);
    await begun(2);
    expect(order).to.deep.equal(["a0", "a1"]);
    end("a1");
    await begun(3);
  });

  it("are passed by those who need nothing that they wait for", async () => {
    const { call, waiting, order } = desk({
      keys: { ann: { max_parallel: 1 }, ben: { max_parallel: 1 } },
      models: { busy: { max_parallel: 1 } },
    });
    await call("a0", ann, "busy");
    void call("a1", ann, "busy");
    await waiting("a1");
    await call("b1", ben);
    void call("b2", ben, "busy");
    await waiting("b2");
    expect(order).to.deep.equal(["a0", "b1"]);
  });

  it("and leave are out of the queue", async () => {
    const { call, waiting, begun, end, leave, order } = desk({ user: { max_parallel: 1 } });
    await call("a0", ann);
    const left = call("a1", ann);
    await waiting("a1");
    void call("a2", ann);
    await waiting("a2");
    leave("a1");
    expect(await left).to.equal(undefined);
    end("a0");
    await begun(2);
    end("a2");
    expect((await call("a3", ann))!.allowed).to.equal(true);
    expect(order).to.deep.equal(["a0", "a2", "a3"]);
  });

  it("and leave while they are asked for give back what they got", async () => {
    const { call, waiting, end, leave } = desk({ user: { max_parallel: 1 } });
    await call("a0", ann);
    const left = call("a1", ann);
    await waiting("a1");
    end("a0");
    leave("a1");
    expect(await left).to.equal(undefined);
    await waitFor(async () => (await call("a2", ben))!.allowed, { timeoutMs: 1_000, message: "the place to return" });
  });

  it("are no more than so many of a key and of an account, and any more are refused without waiting", async () => {
    const { call, waiting } = desk({ user: { max_parallel: 1 } });
    await call("first", ann);
    const keys = Array.from({ length: MOST_OF_ACCOUNT / MOST_OF_KEY }, (_, i) => ({ ...ann, keyId: `key-${i}` }));
    for (const who of keys) {
      for (let i = 0; i < MOST_OF_KEY; i++) void call(`${who.keyId}-${i}`, who);
      await waiting(`${who.keyId}-${MOST_OF_KEY - 1}`);
      expect(await call("more", who)).to.include({ allowed: false, kind: "parallel", limit: 1 });
    }
    expect(await call("of another key", { ...ann, keyId: "another" })).to.include({ allowed: false, kind: "parallel" });
  });

  it("are refused when their time is over", async () => {
    const { call } = desk({ user: { max_parallel: 1 } }, 60);
    await call("a0", ann);
    const [one, two] = await Promise.all([call("a1", ann), call("b1", ben)]);
    for (const verdict of [one, two]) expect(verdict).to.include({ allowed: false, kind: "parallel", scope: "user", retryMs: 1_000 });
  });
});
