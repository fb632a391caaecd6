import { expect } from "chai";
import fc from "fast-check";
import { addRateHeaders, formatReset } from "../../../src/gateway/limits/headers.ts";
import { createLocalLimiter } from "../../../src/gateway/limits/local.ts";
import { checksOf, planOf, type Rules } from "../../../src/gateway/limits/plan.ts";
import type { Ask, Check, LimitVerdict } from "../../../src/gateway/limits/types.ts";

/** Asks of a caller with these limits; the clock begins somewhere in the life of a real one. */
const START = 1_800_000_000_000;
function ask(rules: { user?: Rules; key?: Rules; model?: Rules }, fields: Partial<Ask> = {}): Ask {
  const { user = {}, key = {}, model = {} } = rules;
  const plan = planOf([...checksOf("user", "u", user), ...checksOf("key", "k", key), ...checksOf("model", "m", model)]);
  return { plan, callId: "c", tokens: 0, weightPercent: 100, ...fields };
}
const minute = (requests: number): { user: Rules } => ({ user: { requests_per_minute: requests } });
const refused = (verdict: LimitVerdict) => {
  if (verdict.allowed) throw new Error("it was allowed");
  return verdict;
};
const permitOf = (verdict: LimitVerdict) => {
  if (!verdict.allowed || !verdict.permit) throw new Error("there is no permit");
  return verdict.permit;
};

describe("requests a minute", () => {
  it("a fresh caller gets exactly the limit in any burst of less than a minute", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.nat(59_999), { minLength: 60, maxLength: 120 }),
        fc.nat(1e9),
        (limit, offsets, start) => {
          const limiter = createLocalLimiter();
          const one = ask(minute(limit));
          const times = offsets.sort((a, b) => a - b).map((offset) => START + start + offset - offsets[0]!);
          const allowed = times.filter((time) => limiter.admit(one, time).allowed);
          expect(allowed).to.have.length(limit);
        },
      ),
    );
  });

  it("is allowed again after the time it was told to wait, and not a second before", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.array(fc.nat(20_000), { minLength: 80, maxLength: 80 }), (limit, gaps) => {
        const limiter = createLocalLimiter();
        const one = ask(minute(limit));
        let time = START;
        for (const gap of gaps) {
          time += gap;
          const verdict = limiter.admit(one, time);
          if (verdict.allowed) continue;
          if (verdict.retryMs > 1_000) expect(limiter.admit(one, time + verdict.retryMs - 1_000).allowed).to.equal(false);
          time += verdict.retryMs;
          expect(limiter.admit(one, time).allowed).to.equal(true);
        }
      }),
    );
  });

  it("one a minute is one in each minute: the wait is never longer, and never lets two through", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100_000), { minLength: 1, maxLength: 60 }), (gaps) => {
        const limiter = createLocalLimiter();
        const one = ask(minute(1));
        let [time, last] = [START, -Infinity];
        for (const gap of gaps) {
          time += gap;
          const verdict = limiter.admit(one, time);
          expect(verdict.allowed).to.equal(time - last >= 60_000);
          if (!verdict.allowed) {
            expect(time + verdict.retryMs).to.equal(last + 60_000);
            time += verdict.retryMs;
            expect(limiter.admit(one, time).allowed).to.equal(true);
          }
          last = time;
        }
      }),
    );
  });

  it("the tighter of user and key decides, and a refused request counts nowhere", () => {
    const limiter = createLocalLimiter();
    const both = ask({ user: { requests_per_minute: 5 }, key: { requests_per_minute: 2 } });
    expect(limiter.admit(both, START)).to.deep.include({ allowed: true, requests: { limit: 2, remaining: 1, resetMs: 60_000 } });
    limiter.admit(both, START);
    expect(limiter.admit(both, START)).to.include({ allowed: false, scope: "key", kind: "requests", limit: 2 });
    const user = ask(minute(5));
    expect([0, 0, 0].map(() => limiter.admit(user, START).allowed)).to.deep.equal([true, true, true]);
    expect(limiter.admit(user, START)).to.include({ allowed: false, scope: "user" });
  });

  it("of two refusals the longer one is told", () => {
    const limiter = createLocalLimiter();
    const both = ask({ user: { requests_per_second: 1, requests_per_minute: 1 } });
    limiter.admit(both, START);
    expect(refused(limiter.admit(both, START))).to.include({ kind: "requests", retryMs: 60_000 });
    const second = ask({ key: { requests_per_second: 1, requests_per_minute: 5 } });
    limiter.admit(second, START);
    expect(refused(limiter.admit(second, START))).to.include({ kind: "requests_per_second", retryMs: 1_000 });
  });
});

describe("tokens a minute", () => {
  const tokens = (limit: number): { user: Rules } => ({ user: { tokens_per_minute: limit } });

  it("are reserved for prompt and answer, and what was not used is given back at the end", () => {
    const limiter = createLocalLimiter();
    const first = permitOf(limiter.admit(ask(tokens(1_000), { tokens: 800 }), START));
    expect(refused(limiter.admit(ask(tokens(1_000), { tokens: 300 }), START))).to.include({ kind: "tokens", scope: "user" });
    limiter.release(first, 100, START + 10);
    expect(limiter.admit(ask(tokens(1_000), { tokens: 300 }), START + 10)).to.deep.include({
      allowed: true,
      tokens: { limit: 1_000, remaining: 600, resetMs: 59_990 },
    });
  });

  it("that were used beyond what was reserved count too, and delay those who come later", () => {
    const limiter = createLocalLimiter();
    const first = permitOf(limiter.admit(ask(tokens(1_000), { tokens: 10 }), START));
    limiter.release(first, 1_500, START);
    const later = refused(limiter.admit(ask(tokens(1_000), { tokens: 1 }), START));
    expect(limiter.admit(ask(tokens(1_000), { tokens: 1 }), START + later.retryMs).allowed).to.equal(true);
    expect(later.retryMs).to.be.within(60_001, 120_000);
  });

  it("of a heavy model count as its weight says", () => {
    const limiter = createLocalLimiter();
    const heavy = permitOf(limiter.admit(ask(tokens(1_000), { tokens: 900, weightPercent: 300 }), START));
    limiter.release(heavy, 200, START);
    expect(refused(limiter.admit(ask(tokens(1_000), { tokens: 401 }), START)).kind).to.equal("tokens");
    expect(limiter.admit(ask(tokens(1_000), { tokens: 400 }), START).allowed).to.equal(true);
  });

  it("a call that may use more than the limit runs when nothing else does", () => {
    const limiter = createLocalLimiter();
    const large = ask(tokens(1_000), { tokens: 5_000 });
    const first = permitOf(limiter.admit(large, START));
    expect(limiter.admit(ask(tokens(1_000), { tokens: 1 }), START).allowed).to.equal(false);
    limiter.release(first, 0, START);
    expect(limiter.admit(large, START).allowed).to.equal(true);
  });

  it("what is given back leaves the window it was counted in", () => {
    const limiter = createLocalLimiter();
    const first = permitOf(limiter.admit(ask(tokens(1_000), { tokens: 1_000 }), START));
    // Half of the next minute is over: half of the first still counts.
    expect(refused(limiter.admit(ask(tokens(1_000), { tokens: 600 }), START + 90_000)).kind).to.equal("tokens");
    expect(limiter.admit(ask(tokens(1_000), { tokens: 500 }), START + 90_000).allowed).to.equal(true);
    limiter.release(first, 0, START + 90_000);
    expect(limiter.admit(ask(tokens(1_000), { tokens: 500 }), START + 90_000).allowed).to.equal(true);
    expect(limiter.admit(ask(tokens(1_000), { tokens: 1 }), START + 90_000).allowed).to.equal(false);
  });

  it("never exceed the limit in any minute, whatever calls reserve and give back", () => {
    const step = fc.record({ gap: fc.nat(15_000), need: fc.integer({ min: 1, max: 400 }), used: fc.nat(100), end: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), (steps) => {
        const limiter = createLocalLimiter();
        let time = START;
        const runs: { from: number; tokens: number }[] = [];
        for (const { gap, need, used, end } of steps) {
          time += gap;
          const verdict = limiter.admit(ask(tokens(1_000), { tokens: need }), time);
          if (!verdict.allowed) continue;
          const really = end ? Math.ceil((need * used) / 100) : need;
          limiter.release(permitOf(verdict), really, time);
          runs.push({ from: time, tokens: really });
        }
        // The window is a weighted one: within any minute at most the limit of this window and the share of the last one, below twice.
        for (const { from } of runs) {
          const within = runs.filter((run) => run.from >= from && run.from < from + 60_000).reduce((sum, run) => sum + run.tokens, 0);
          expect(within).to.be.at.most(2_000);
        }
      }),
    );
  });
});

describe("parallel calls", () => {
  it("never run more at once than allowed, and each end makes room", () => {
    const limiter = createLocalLimiter();
    const two = ask({ user: { max_parallel: 2 } });
    const first = permitOf(limiter.admit(two, START));
    limiter.admit(two, START);
    expect(limiter.admit(two, START)).to.include({ allowed: false, kind: "parallel", scope: "user", limit: 2 });
    limiter.release(first, 0, START);
    expect(limiter.admit(two, START).allowed).to.equal(true);
  });

  it("a second end of the same call makes no more room", () => {
    const limiter = createLocalLimiter();
    const one = ask({ model: { max_parallel: 1 } });
    const first = permitOf(limiter.admit(one, START));
    limiter.release(first, 0, START);
    limiter.admit(one, START);
    limiter.release(first, 0, START);
    expect(limiter.admit(one, START).allowed).to.equal(false);
  });
});

describe("limits that are only looked at", () => {
  it("refuse nobody and tell whom they would have refused", () => {
    const told: Check[] = [];
    const limiter = createLocalLimiter((check) => told.push(check));
    const rules: Rules = { requests_per_minute: 1, tokens_per_minute: 5, max_parallel: 1 };
    const plan = planOf(checksOf("global", "g", rules, true));
    const verdicts = [1, 2, 3].map((n) => limiter.admit({ plan, callId: `c${n}`, tokens: 5, weightPercent: 100 }, START));
    expect(verdicts.every(({ allowed, requests }) => allowed && requests === undefined)).to.equal(true);
    expect(told.map(({ kind }) => kind)).to.deep.equal(["requests", "tokens", "parallel", "requests", "tokens", "parallel"]);
    for (const verdict of verdicts) if (verdict.allowed && verdict.permit) limiter.release(verdict.permit, 1, START);
    limiter.admit({ plan, callId: "c4", tokens: 4, weightPercent: 100 }, START);
    expect(told.slice(6).map(({ kind }) => kind)).to.deep.equal(["requests"]);
  });
});

describe("headers about limits", () => {
  for (const [ms, text] of [
    [0, "0ms"],
    [12, "12ms"],
    [1_000, "1s"],
    [1_500, "1.5s"],
    [60_000, "1m0s"],
    [119_700, "2m0s"],
    [360_000, "6m0s"],
    [3_599_800, "1h0m0s"],
    [3_600_000, "1h0m0s"],
  ] as const) {
    it(`${ms} ms is written ${text}`, () => expect(formatReset(ms)).to.equal(text));
  }

  const figures = { requests: { limit: 10, remaining: 9, resetMs: 360_000 }, tokens: { limit: 1_000, remaining: 0, resetMs: 12 } };
  const written = (vendor: "openai" | "anthropic"): Record<string, string> => {
    const headers: string[] = [];
    addRateHeaders(headers, vendor, figures);
    return Object.fromEntries(headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1]!]] : [])));
  };

  it("are OpenAI's for OpenAI's clients", () => {
    expect(written("openai")).to.deep.equal({
      "x-ratelimit-limit-requests": "10",
      "x-ratelimit-remaining-requests": "9",
      "x-ratelimit-reset-requests": "6m0s",
      "x-ratelimit-limit-tokens": "1000",
      "x-ratelimit-remaining-tokens": "0",
      "x-ratelimit-reset-tokens": "12ms",
    });
  });

  it("are Anthropic's for Anthropic's clients", () => {
    const before = Date.now();
    const told = written("anthropic");
    const reset = told["anthropic-ratelimit-requests-reset"]!;
    expect(reset).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Date.parse(reset) - before).to.be.within(360_000, 362_000);
    expect(Object.keys(told)).to.have.members(
      ["requests", "tokens", "input-tokens", "output-tokens"].flatMap((kind) =>
        ["limit", "remaining", "reset"].map((what) => `anthropic-ratelimit-${kind}-${what}`),
      ),
    );
    expect([told["anthropic-ratelimit-requests-limit"], told["anthropic-ratelimit-output-tokens-remaining"]]).to.deep.equal(["10", "0"]);
  });
});
