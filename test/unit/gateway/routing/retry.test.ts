import { expect } from "chai";
import { pauseBefore, RetryAllowance } from "../../../../src/gateway/routing/retry.ts";
import { concernsKey, restReason, RULES, ruleOf } from "../../../../src/gateway/routing/rules.ts";
import { retryAfterMs } from "../../../../src/gateway/upstream/headers.ts";

describe("the pause before a repeat", () => {
  it("is a random part of a time that doubles up to its cap", () => {
    const config = { baseMs: 100, capMs: 2_000 };
    expect([1, 2, 3, 4, 5, 6, 60].map((round) => pauseBefore(round, config, () => 1))).to.deep.equal([
      100, 200, 400, 800, 1_600, 2_000, 2_000,
    ]);
    expect(pauseBefore(5, config, () => 0)).to.equal(0);
    expect(pauseBefore(3, config, () => 0.25)).to.equal(100);
  });
});

describe("repeats", () => {
  it("are at most their share of the calls, beyond a few that a quiet copy may make", () => {
    const allowance = new RetryAllowance(20, 0);
    let repeats = 0;
    for (let i = 0; i < 10_000; i++) {
      allowance.earn();
      // All within one second.
      if (allowance.spend(i / 10)) repeats += 1;
    }
    expect(repeats).to.be.within(2_000, 2_015);
  });

  it("come back one a second when there are no calls", () => {
    const allowance = new RetryAllowance(20, 0);
    let first = 0;
    while (allowance.spend(0)) first += 1;
    expect(first).to.equal(10);
    expect([allowance.spend(500), allowance.spend(1_000), allowance.spend(1_001)]).to.deep.equal([false, true, false]);
    let later = 0;
    while (allowance.spend(1_000_000)) later += 1;
    expect(later).to.equal(10);
  });

  it("can be switched off", () => {
    expect(new RetryAllowance(0, 0).spend(1_000)).to.equal(false);
  });
});

describe("what follows from a failure", () => {
  it("nothing is repeated that is the caller's own, and nothing counts twice against a provider", () => {
    expect(RULES["upstream_rejected"]).to.deep.equal({ elsewhere: false, again: false, circuit: undefined });
    for (const [record, rule] of Object.entries(RULES)) {
      if (rule.again) expect(rule.elsewhere, record).to.equal(true);
      if (!rule.elsewhere) expect(rule.circuit, record).to.equal(undefined);
    }
  });

  it("one without a rule goes by its own word", () => {
    expect(ruleOf({ record: "something_new", elsewhere: true })).to.include({ elsewhere: true, again: false });
    expect(ruleOf({ record: "something_new" })).to.include({ elsewhere: false });
  });

  const flagged = Buffer.from('{"error":{"message":"Your input was flagged by moderation"}}');
  const denied = Buffer.from('{"error":{"message":"Your API key was disabled"}}');
  const page = Buffer.from("<html><title>Attention Required! Access denied</title>");
  const tooLong = Buffer.from(
    '{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 900"}}',
  );
  for (const [status, record, body, reason] of [
    [401, "upstream_refused", undefined, "refused"],
    [400, "upstream_refused", Buffer.from('[{"error":{"message":"API key not valid"}}]'), "forbidden"],
    [400, "upstream_rejected", Buffer.from('{"error":{"message":"API key not valid"}}'), undefined],
    [402, "upstream_refused", undefined, "spent"],
    [402, "upstream_refused", tooLong, undefined],
    [403, "upstream_refused", denied, "forbidden"],
    [403, "upstream_refused", page, undefined],
    [403, "upstream_refused", undefined, undefined],
    [403, "upstream_refused", flagged, undefined],
    [429, "upstream_rate_limited", undefined, "rate_limited"],
    [429, "upstream_refused", undefined, "spent"],
    [500, "upstream_5xx", flagged, undefined],
    [null, "upstream_network", undefined, undefined],
  ] as const) {
    it(`a key that meets ${status} ${record}${body ? ` ${body.toString("utf8", 0, 60)}` : ""} ${reason ? `rests: ${reason}` : "does not rest"}`, () =>
      expect(restReason(status, record, body)).to.equal(reason));
  }
});

describe("another key of the same provider", () => {
  for (const [status, body, taken] of [
    [401, "{}", true],
    [402, '{"error":"fewer max_tokens"}', true],
    [400, '{"error":{"message":"API key not valid"}}', true],
    [403, '{"error":{"type":"permission_error"}}', true],
    [403, "<html>Access denied</html>", false],
    [403, '{"error":{"message":"Your input was flagged, access denied"}}', false],
    [403, '{"error":{"message":"Country, region, or territory not supported"}}', false],
    [302, "", false],
  ] as const) {
    it(`is ${taken ? "" : "not "}tried after ${status} ${body}`, () =>
      expect(concernsKey(status, "upstream_refused", Buffer.from(body))).to.equal(taken));
  }
});

describe("how long a provider asks us to wait", () => {
  const now = Date.UTC(2026, 10, 21, 12, 0, 0);
  for (const [headers, ms] of [
    [{ "retry-after": "2" }, 2_000],
    [{ "retry-after": "0.5" }, 500],
    [{ "retry-after": "86400" }, 300_000],
    [{ "retry-after-ms": "250", "retry-after": "9" }, 250],
    [{ "retry-after": "Sat, 21 Nov 2026 12:00:03 GMT" }, 3_000],
    [{ "retry-after": "Sat, 21 Nov 2026 11:00:00 GMT" }, 0],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "-5" }, undefined],
    [{}, undefined],
  ] as const) {
    it(`${JSON.stringify(headers)} is ${ms} ms`, () => expect(retryAfterMs(headers, now)).to.equal(ms));
  }
});
