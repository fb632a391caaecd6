import { expect } from "chai";
import { createAllowance } from "../../../src/platform/reports/allowance.ts";
import { redactText } from "../../../src/platform/reports/redact.ts";

describe("what a report may not hold", () => {
  const secrets: [string, string][] = [
    ["an API key", "sk-tk-aExuWHq0b1c2d3e4f5g6h7"],
    ["a provider's key", "sk-proj-abcdef123456"],
    ["a bearer token", "Bearer abc.def-ghi"],
    ["an access token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"],
    ["a password in a URL", "postgres://tollkeeper:hunter2@db:5432/x"],
    ["a password in words", "password=hunter2"],
    ["a password in JSON", '{"password": "hunter2 and more"}'],
    ["a mailed code", "code: 969349"],
    ["a key by name", "api_key='abc123'"],
    ["a signature", "sign=5f4dcc3b5aa765d61d8327deb882cf99"],
    ["an address", "ada@example.com"],
    ["a hash of a code", "a".repeat(64)],
  ];
  for (const [what, text] of secrets) {
    it(`${what} is taken out`, () => {
      const left = redactText(`before ${text} after`);
      expect(left).to.match(/^before .* after$/);
      for (const secret of ["hunter2", "abc", "969349", "aExu", "5f4d", "example.com", "aaaa", "c2ln", "and more"]) {
        if (text.includes(secret)) expect(left).not.to.contain(secret);
      }
    });
  }

  it("what an operator needs stays", () => {
    const text =
      "there is no order TK20261121R8FBCGBN3YT9E6; call 01a1fe29-c331-7950-a747-ffee634078ef; connect ECONNREFUSED 127.0.0.1:5432";
    expect(redactText(text)).to.equal(text);
  });
});

describe("how many reports go out", () => {
  it("the same one three times a minute, all together sixty", () => {
    let nowMs = 0;
    const allowed = createAllowance(() => nowMs);
    expect(Array.from({ length: 10 }, () => allowed("same")).filter(Boolean)).to.have.length(3);
    expect(Array.from({ length: 100 }, (_, n) => allowed(`other ${n}`)).filter(Boolean)).to.have.length(57);
    nowMs = 60_000;
    expect(allowed("same")).to.equal(true);
  });
});
