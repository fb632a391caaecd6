import { expect } from "chai";
import fc from "fast-check";
import { codeFor, codeHash } from "../../../src/identity/codeHash.ts";
import { createIpList, isAddressOrRange } from "../../../src/identity/ipList.ts";
import { claimsToBeToken, isWellFormedKey, makeKey, makeToken } from "../../../src/identity/keyFormat.ts";
import { e164, readIdentifier, suggestUsername, usernameProblem } from "../../../src/identity/names.ts";
import { checkPassword, hashPassword, verifyPassword } from "../../../src/identity/password.ts";
import { statusAt } from "../../../src/identity/status.ts";

describe("rules of identity", () => {
  it("every key and token passes its own checksum, and none with one changed character does", () => {
    fc.assert(
      fc.property(fc.integer({ min: 9, max: 48 }), fc.constantFrom(..."0aZ9xQ"), fc.boolean(), (at, replacement, token) => {
        const { key } = token ? makeToken() : makeKey();
        expect(isWellFormedKey(key)).to.equal(true);
        const changed = key.slice(0, at) + replacement + key.slice(at + 1);
        expect(isWellFormedKey(changed)).to.equal(changed === key);
      }),
    );
  });

  it("tells keys and tokens apart by their beginning", () => {
    expect([makeKey(), makeToken()].map(({ key }) => claimsToBeToken(key))).to.deep.equal([false, true]);
    const { key } = makeKey();
    expect(isWellFormedKey(`sk-tk-eu-${key.slice(6)}`)).to.equal(false);
  });

  it("refuses texts that are no keys", () => {
    const { key } = makeKey();
    for (const text of ["", "sk-tk-", key.slice(0, -1), `${key}0`, key.toUpperCase(), ` ${key}`, `sk-tk-${"é".repeat(43)}`])
      expect(isWellFormedKey(text)).to.equal(false);
  });

  it("a username is not an e-mail address, a phone number or too short", () => {
    for (const good of ["ada", "Ada_Lovelace-1815", "a".repeat(32)]) expect(usernameProblem(good)).to.equal(undefined);
    for (const bad of ["ab", "a".repeat(33), "a@b", "13800138000", "+8613800138000", "138-0013-8000", "ada lovelace", "adä", ""])
      expect(usernameProblem(bad), bad).to.be.a("string");
  });

  it("a derived username is always a good one", () => {
    fc.assert(
      fc.property(fc.emailAddress(), fc.nat(3), (email, attempt) => {
        expect(usernameProblem(suggestUsername(email, attempt)), suggestUsername(email, attempt)).to.equal(undefined);
      }),
    );
    expect(suggestUsername("ada.lovelace@example.com", 0)).to.equal("ada-lovelace");
    expect(suggestUsername("12345@example.com", 0)).to.equal("user-12345");
  });

  it("knows what kind of name somebody typed", () => {
    expect(readIdentifier(" Ada@Example.com ")).to.deep.equal({ column: "email", value: "ada@example.com" });
    expect(readIdentifier("+86 138-0013-8000")).to.deep.equal({ column: "phone", value: "+8613800138000" });
    expect(readIdentifier("Ada")).to.deep.equal({ column: "username", value: "ada" });
    expect(e164("+1 000 000 0000")).to.equal(undefined);
  });

  it("passwords are long or strong, and never one's own name", () => {
    const person = { email: "ada.lovelace@example.com", names: ["Countess-of-L"] };
    for (const good of ["ten letters", "xK9#mQ2$v"]) expect(() => checkPassword(good, person)).to.not.throw();
    for (const bad of ["password", "abc12345", "aaaaaaaaaaaaaaa", "ADA.LOVELACE@EXAMPLE.COM", "ada.lovelace", "countess-of-l"]) {
      expect(() => checkPassword(bad, person), bad).to.throw(/^password: /);
    }
  });

  it("checking a password of nobody takes as long as checking somebody's", async () => {
    const stored = await hashPassword("a password");
    await verifyPassword(undefined, "warm up");
    const time = async (hash: string | undefined) => {
      const started = performance.now();
      for (let i = 0; i < 5; i += 1) expect(await verifyPassword(hash, "another")).to.equal(false);
      return performance.now() - started;
    };
    const [known, unknown] = [await time(stored), await time(undefined)];
    expect(unknown / known).to.be.within(0.3, 3);
    expect(await verifyPassword(stored, "a password")).to.equal(true);
    expect(await verifyPassword(null, "no password is this one")).to.equal(false);
  });

  it("codes are six digits, the same for the same id, and their hashes bound to purpose and address", () => {
    fc.assert(
      fc.property(fc.uuid(), (id) => {
        expect(codeFor("secret", id)).to.match(/^\d{6}$/);
        expect(codeFor("secret", id)).to.equal(codeFor("secret", id));
      }),
    );
    const hashes = [
      codeHash("s", "login", "a@b", "1"),
      codeHash("t", "login", "a@b", "1"),
      codeHash("s", "reset", "a@b", "1"),
      codeHash("s", "login", "c@b", "1"),
    ];
    expect(new Set(hashes)).to.have.property("size", 4);
  });

  it("reads addresses and ranges, and nothing that only looks like them", () => {
    for (const good of ["10.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "::1", "2001:db8::/32"]) expect(isAddressOrRange(good), good).to.equal(true);
    for (const bad of ["10.0.0", "10.0.0.1/33", "10.0.0.1/", "::1/129", "fe80::1%eth0", "10.0.0.1/08", "10.0.0.1/8/8", "localhost", ""])
      expect(isAddressOrRange(bad), bad).to.equal(false);
    const list = createIpList(["10.0.0.0/8", "::1"]);
    expect([list.has("10.9.9.9"), list.has("::ffff:10.9.9.9"), list.has("11.0.0.1"), list.has("::1"), list.has("nonsense")]).to.deep.equal([
      true,
      true,
      false,
      true,
      false,
    ]);
  });

  it("a suspension with an end ends by itself, one without lasts", () => {
    expect([
      statusAt("suspended", new Date(10), 10),
      statusAt("suspended", new Date(10), 9),
      statusAt("suspended", null, 10),
      statusAt("closed", null, 10),
    ]).to.deep.equal(["active", "suspended", "suspended", "closed"]);
  });
});
