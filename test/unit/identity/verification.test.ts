import { expect } from "chai";
import fc from "fast-check";
import { Verification, type Submission, type VerificationInput } from "../../../workflows/registrationState.ts";

const INPUT: VerificationInput = {
  email: "a@example.com",
  codeTtlMs: 600_000,
  linkTtlMs: 86_400_000,
  resendAfterMs: 60_000,
  maxTries: 5,
  welcome: false,
};
const hash = (digit: string) => digit.repeat(64);
const code = (digit: string): Submission => ({ kind: "code", codeHash: hash(digit), registrationId: "r" });

/** A verification that has mailed the code `right` at time 0. */
function mailed(right = "a"): Verification {
  const verification = new Verification(INPUT, 0);
  verification.ask({ kind: "code", locale: "en" });
  verification.nextRequest(0);
  verification.mailed({ kind: "code", codeHash: hash(right) }, 0);
  return verification;
}

describe("the state of a verification", () => {
  it("never takes more than five wrong tries, in whatever order they come, nor a code that was used", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 30 }), (tries) => {
        const verification = mailed("a");
        let [wrong, right] = [0, 0];
        for (const digit of tries) {
          if (verification.refuses(code(digit), 1)) continue;
          const verdict = verification.take(code(digit), 1);
          if (verdict === "wrong") wrong += 1;
          else {
            right += 1;
            verification.settle(code(digit), { kind: "activated", userId: "u" });
          }
        }
        expect(wrong).to.be.at.most(5);
        expect(right).to.be.at.most(1);
        expect(verification.finished).to.equal(right === 1);
      }),
    );
  });

  it("a code in use serves nobody else, and is free again when its account could not be made", () => {
    const verification = mailed();
    expect(verification.take(code("a"), 1)).to.equal("try_it");
    expect(verification.take(code("a"), 1)).to.equal("wrong");
    verification.settle(code("a"), { kind: "taken", field: "username" });
    expect(verification.take(code("a"), 1)).to.equal("try_it");
  });

  it("a code ends with its time; a new one has its own tries and replaces it", () => {
    const verification = mailed("a");
    expect(verification.refuses(code("a"), 600_000)).to.be.a("string");
    for (let i = 0; i < 5; i += 1) verification.take(code("b"), 1);
    expect(verification.refuses(code("a"), 1)).to.be.a("string");
    verification.ask({ kind: "code", locale: "en" });
    expect(verification.nextRequest(60_000)).to.include({ kind: "code" });
    verification.mailed({ kind: "code", codeHash: hash("d") }, 60_000);
    expect(verification.take(code("a"), 60_001)).to.equal("wrong");
    expect(verification.take(code("d"), 60_001)).to.equal("try_it");
    expect(verification.msLeft(60_000)).to.equal(600_000);
  });

  it("requests that come in a heap lead to one mail", () => {
    const verification = new Verification(INPUT, 0);
    for (let i = 0; i < 10; i += 1) verification.ask({ kind: "code", locale: "en" });
    expect(verification.nextRequest(0)).to.include({ kind: "code" });
    verification.mailed({ kind: "code", codeHash: hash("a") }, 0);
    expect(verification.nextRequest(1)).to.equal(undefined);
    expect(verification.view()).to.include({ sends: 1, state: "waiting" });
  });

  it("a code handed in while its mail is being queued is waited for, not refused", () => {
    const verification = new Verification(INPUT, 0);
    expect(verification.refuses(code("a"), 0)).to.be.a("string");
    verification.ask({ kind: "code", locale: "en" });
    expect(verification.refuses(code("a"), 0)).to.equal(undefined);
    verification.nextRequest(0);
    expect([verification.busy, verification.refuses(code("a"), 0)]).to.deep.equal([true, undefined]);
    verification.mailed({ kind: "nothing" }, 0);
    expect(verification.busy).to.equal(false);
  });

  it("refuses what is malformed or comes after the end", () => {
    const verification = mailed();
    for (const bad of [{ kind: "code", codeHash: "123456" }, { kind: "link", tokenHash: "x" }, { kind: "other" }]) {
      expect(verification.refuses(bad as Submission, 1), JSON.stringify(bad)).to.be.a("string");
    }
    verification.close();
    expect(verification.refuses(code("a"), 1)).to.be.a("string");
    expect(verification.view().state).to.equal("expired");
  });
});
