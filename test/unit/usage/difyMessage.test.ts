import { expect } from "chai";
import { accountOfDifyUser, difyMessageKey, difyUser } from "../../../src/usage/difyMessage.ts";

const ACCOUNT = "0199a4c1-7c1e-7b1a-9f00-0123456789ab";

describe("what Dify and we call the same", () => {
  it("a message has one key for ever, a valid UUID", () => {
    expect(difyMessageKey("x")).to.equal("a20e6788-bc46-8118-a035-55b2fe306334");
    expect(difyMessageKey("y")).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(difyMessageKey("y")).to.not.equal(difyMessageKey("x"));
  });

  it("a user leads back to its account, with and without an end user whose name stays here", () => {
    const users = [undefined, "alice", "bob"].map((endUser) => difyUser(ACCOUNT, endUser));
    expect(new Set(users)).to.have.property("size", 3);
    for (const user of users) expect([accountOfDifyUser(user), user.includes("alice")]).to.deep.equal([ACCOUNT, false]);
    for (const other of ["", ACCOUNT, `tk_${ACCOUNT}x`, "tk_nobody", `xtk_${ACCOUNT}`])
      expect(accountOfDifyUser(other)).to.equal(undefined);
  });
});
