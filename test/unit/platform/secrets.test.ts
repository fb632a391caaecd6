import { expect } from "chai";
import { randomBytes } from "node:crypto";
import { randomText, uuidv7 } from "../../../src/platform/ids.ts";
import { createSecretBox, equalSecret } from "../../../src/platform/secrets.ts";

const key = (id: string) => ({ id, secret: randomBytes(32) });

describe("secrets at rest", () => {
  it("open with the key that sealed them, also after a new key was put first", () => {
    const old = key("old");
    const sealed = createSecretBox([old]).seal("sk-provider");
    expect(sealed).to.not.contain("sk-provider");
    expect(createSecretBox([key("new"), old]).open(sealed)).to.equal("sk-provider");
  });

  it("do not open when a byte was altered or the key is gone", () => {
    const box = createSecretBox([key("a")]);
    const sealed = box.seal("secret");
    const at = sealed.length - 1;
    const altered = sealed.slice(0, at) + (sealed[at] === "A" ? "B" : "A");
    expect(() => box.open(altered)).to.throw();
    expect(() => createSecretBox([key("b")]).open(sealed)).to.throw("not configured");
    expect(() => box.open("nonsense")).to.throw();
  });

  it("are compared without telling where they differ", () => {
    expect(equalSecret("abc", "abc")).to.equal(true);
    expect(equalSecret("abc", "abd")).to.equal(false);
    expect(equalSecret("abc", "abcd")).to.equal(false);
  });
});

describe("ids", () => {
  it("are version 7 UUIDs that sort by time and do not repeat", () => {
    const ids = Array.from({ length: 5_000 }, (_, i) => uuidv7(1_700_000_000_000 + i));
    expect(new Set(ids).size).to.equal(ids.length);
    expect([...ids].sort()).to.deep.equal(ids);
    for (const id of ids) expect(id).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it("draw every character of the alphabet", () => {
    const text = randomText(10_000, "abc");
    expect(text).to.have.length(10_000);
    expect([...new Set(text)].sort().join("")).to.equal("abc");
  });
});
