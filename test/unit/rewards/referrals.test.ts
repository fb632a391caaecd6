import { expect } from "chai";
import { isSelfReferral, mailboxOf, signalsOf, type Party } from "../../../src/rewards/referral/rules.ts";

const party = (id: string, email: string, ...devices: [string, string | null][]): Party => ({
  id,
  email,
  devices: devices.map(([ip, userAgent]) => ({ ip, userAgent })),
});

describe("the mailbox behind an address", () => {
  for (const [one, other, same] of [
    ["ada@example.com", "ADA@Example.com", true],
    ["ada+tolls@example.com", "ada@example.com", true],
    ["a.d.a+x+y@gmail.com", "ada@googlemail.com", true],
    ["a.d.a@example.com", "ada@example.com", false],
    ["ada@example.com", "ada@example.org", false],
  ] as const) {
    it(`${one} and ${other} are ${same ? "one" : "two"}`, () => {
      expect(mailboxOf(one) === mailboxOf(other)).to.equal(same);
      expect(isSelfReferral(party("1", one), party("2", other))).to.equal(same);
    });
  }

  it("nobody refers himself", () => {
    expect(isSelfReferral(party("1", "a@x.com"), party("1", "b@x.com"))).to.equal(true);
  });
});

describe("signals of one person behind two accounts", () => {
  const referrer = party("1", "a@x.com", ["203.0.113.7", "Firefox"], ["2001:db8:1:2::9", "Phone"]);
  const from = (ip: string, agent: string | null) => signalsOf(referrer, party("2", "b@x.com", [ip, agent]));

  it("are the same network, and there the same device", () => {
    expect(from("203.0.113.7", "Chrome")).to.deep.equal(["same_network"]);
    expect(from("203.0.113.7", "Firefox")).to.deep.equal(["same_network", "same_device"]);
    expect(from("::ffff:203.0.113.7", "Firefox")).to.deep.equal(["same_network", "same_device"]);
    expect(from("2001:db8:1:2:aaaa::1", null)).to.deep.equal(["same_network"]);
  });

  it("are not a common browser elsewhere, nor an address that is not known", () => {
    expect(from("203.0.113.8", "Firefox")).to.deep.equal([]);
    expect(from("2001:db8:1:3::9", "Phone")).to.deep.equal([]);
    expect(signalsOf(party("1", "a@x.com", ["", "Firefox"]), party("2", "b@x.com", ["", "Firefox"]))).to.deep.equal([]);
  });
});
