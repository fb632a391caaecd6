import { expect } from "chai";
import fc from "fast-check";
import { sessionHash } from "../../../../src/gateway/routing/draw.ts";
import { ask, candidate, rig, tried } from "./support.ts";

/** Shares of the choices by provider. */
function shares(count: number, pick: (i: number) => string | undefined): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const name = pick(i)!.split("/")[0]!;
    counts[name] = (counts[name] ?? 0) + 1 / count;
  }
  return counts;
}

describe("where a call goes", () => {
  it("by priority, and equals by weight", () => {
    const { pick } = rig();
    const equals = [candidate("rare", { priority: 5, weight: 1 }), candidate("often", { priority: 5, weight: 9 })];
    const all = [...equals, candidate("never", { priority: 5, weight: 0 }), candidate("low", { priority: 1, weight: 100 })];
    const seen = shares(10_000, () => pick(ask(all)));
    expect(Object.keys(seen).sort()).to.deep.equal(["often", "rare"]);
    expect(seen["often"]).to.be.within(0.88, 0.92);
  });

  it("each once in a round, the lower priorities last", () => {
    const { chooser } = rig();
    const all = [
      candidate("a", { priority: 5 }),
      candidate("b", { priority: 5 }),
      candidate("zero", { priority: 5, weight: 0 }),
      candidate("low"),
    ];
    for (let n = 0; n < 200; n++) {
      const tries = [];
      const order = [];
      for (;;) {
        const { route } = chooser.choose(ask(all, { tries }), 0);
        if (!route) break;
        order.push(route.candidate.provider.id);
        tries.push(tried(route.candidate, "upstream_5xx", { status: 500 }));
      }
      expect(order.slice(0, 2).sort()).to.deep.equal(["a", "b"]);
      expect(order.slice(2)).to.deep.equal(["zero", "low"]);
    }
  });

  it("again in the next round where that may help, and not where it would not", () => {
    const { pick } = rig();
    const [broken, hanging] = [candidate("broken", { priority: 1 }), candidate("hanging")];
    const tries = [tried(broken, "upstream_5xx", { status: 500 }), tried(hanging, "upstream_first_byte_timeout")];
    expect(pick(ask([broken, hanging], { tries }))).to.equal(undefined);
    expect(pick(ask([broken, hanging], { tries, roundFrom: 2 }))).to.equal("broken/broken-1");
    const more = [...tries, tried(broken, "upstream_network")];
    expect(pick(ask([broken, hanging], { tries: more, roundFrom: 2 }))).to.equal(undefined);
  });

  it("to the next key of the same provider when one is refused, then to its equals", () => {
    const { pick } = rig();
    const two = candidate("two", { keys: ["k1", "k2"] });
    const other = candidate("other", { weight: 1_000 });
    const refused = tried(two, "upstream_refused", { key: "k1", status: 401 });
    expect(pick(ask([two, other], { tries: [refused] }))).to.equal("two/k2");
    const both = [refused, tried(two, "upstream_refused", { key: "k2", status: 401 })];
    expect(pick(ask([two, other], { tries: both }))).to.equal("other/other-1");
    expect(pick(ask([two], { tries: both, roundFrom: 2 }))).to.equal(undefined);
  });

  it("to at most sixteen in all", () => {
    const { pick } = rig();
    const many = candidate("many", { keys: Array.from({ length: 40 }, (_, i) => `k${i}`) });
    const tries = many.provider.keys
      .slice(0, 15)
      .map(({ fingerprint }) => tried(many, "upstream_refused", { key: fingerprint, status: 401 }));
    expect(pick(ask([many], { tries }))).to.match(/^many/);
    tries.push(tried(many, "upstream_refused", { key: "k15", status: 401 }));
    expect(pick(ask([many], { tries }))).to.equal(undefined);
  });

  it("with each key in turn", () => {
    const { pick } = rig();
    const three = candidate("p", { keys: ["k1", "k2", "k3"] });
    const seen = Array.from({ length: 6 }, () => pick(ask([three])));
    expect(seen).to.deep.equal(["p/k1", "p/k2", "p/k3", "p/k1", "p/k2", "p/k3"]);
  });
});

describe("calls of one conversation", () => {
  const equals = (weights: number[]) => weights.map((weight, i) => candidate(`p${i}`, { weight, keys: [`a${i}`, `b${i}`] }));

  it("go to the same provider and key, on every copy", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.uuid(),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 6 }),
        (name, account, weights) => {
          const session = sessionHash(account, name);
          const picks = [rig(), rig()].flatMap(({ pick }) => [0, 1, 2].map(() => pick(ask(equals(weights), { session }))));
          expect(new Set(picks).size).to.equal(1);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("are spread by weight, and over the keys", () => {
    const { pick } = rig();
    const candidates = equals([1, 3, 6]);
    const keys: Record<string, number> = {};
    const seen = shares(20_000, (i) => {
      const chosen = pick(ask(candidates, { session: sessionHash("account", `conversation ${i}`) }))!;
      const key = chosen.split("/")[1]!.slice(0, 1);
      keys[key] = (keys[key] ?? 0) + 1 / 20_000;
      return chosen;
    });
    expect(seen["p0"]).to.be.within(0.085, 0.115);
    expect(seen["p1"]).to.be.within(0.285, 0.315);
    expect(seen["p2"]).to.be.within(0.585, 0.615);
    expect(keys["a"]).to.be.within(0.48, 0.52);
  });

  it("of two accounts have nothing to do with each other", () => {
    const { pick } = rig();
    const candidates = equals([1, 1, 1, 1]);
    let same = 0;
    for (let i = 0; i < 4_000; i++) {
      const [ada, bob] = ["ada", "bob"].map((account) => pick(ask(candidates, { session: sessionHash(account, `s${i}`) })));
      if (ada!.split("/")[0] === bob!.split("/")[0]) same += 1;
    }
    expect(same / 4_000).to.be.within(0.21, 0.29);
  });

  it("move only when theirs is gone, and come back to it", () => {
    const { pick } = rig();
    const candidates = equals([1, 1, 1, 1]);
    let moved = 0;
    for (let i = 0; i < 1_000; i++) {
      const session = sessionHash("account", `s${i}`);
      const before = pick(ask(candidates, { session }));
      const without = pick(ask(candidates.slice(1), { session }));
      if (before!.startsWith("p0")) moved += 1;
      else expect(without).to.equal(before);
      expect(pick(ask(candidates, { session }))).to.equal(before);
    }
    expect(moved / 1_000).to.be.within(0.2, 0.3);
  });

  it("keep their provider when they change the model, and never go before a higher priority", () => {
    const { pick } = rig();
    for (let i = 0; i < 200; i++) {
      const session = sessionHash("account", `s${i}`);
      const other = equals([1, 1, 1]).map((one) => ({ ...one, upstreamModel: "another" }));
      expect(pick(ask(other, { session }))).to.equal(pick(ask(equals([1, 1, 1]), { session })));
      expect(pick(ask([candidate("high", { priority: 9 }), ...equals([9, 9])], { session }))).to.match(/^high/);
    }
  });
});
