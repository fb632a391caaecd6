import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { announce } from "../../../src/platform/invalidation.ts";
import { useStack } from "../../support/stack.ts";
import { message, startDify, type DifyRig, type Person } from "./rig.ts";

describe("a message of Dify whose user has another tier by the time it is charged", () => {
  const places = useStack();
  let rig: DifyRig;
  before(async () => {
    rig = await startDify(places.databaseUrl);
    for (const [tier, millionths] of [
      ["pro", 500_000],
      ["free", 2_000_000],
    ]) {
      await rig.pool.query(
        "INSERT INTO price_multipliers (rule, version, name, multiplier, tier, status) VALUES (gen_random_uuid(), 1, $1, $2, $1, 'active')",
        [tier, millionths],
      );
    }
    await rig.model("gpt-4");
  });
  after(() => rig.close());

  /** Now; it is over when it is answered, for the database's clock is finer than ours. */
  function moment(): Date {
    const now = new Date();
    while (Date.now() <= now.getTime());
    return now;
  }
  async function tier({ userId }: Person, to: string): Promise<void> {
    await rig.pool.query("UPDATE users SET tier = $2 WHERE id = $1", [userId, to]);
    await announce(rig.pool, "user", userId);
  }
  const points = async (user: string, at?: Date) =>
    (await rig.send(message({ user_id: user, ...(at ? { timestamp: at.toISOString() } : {}) }))).body.data.pointsDeducted;

  it("costs what it did with the tier of its own time, tried again or reported late", async () => {
    const ada = await rig.person(1_000, "pro");
    const external = `ext-${randomUUID()}`;
    const open = message({ user_id: external });
    expect((await rig.send(open)).status).to.equal(404);
    const then = moment();
    await tier(ada, "free");
    await rig.admin("POST", "/api/admin/dify/users", { external_id: external, user_id: ada.userId });
    expect((await rig.send(open)).body.data.pointsDeducted).to.equal(46.5);
    expect(await points(ada.userId, then)).to.equal(46.5);
    expect(await points(ada.userId)).to.equal(186);
  });

  it("costs what it did with each of several", async () => {
    const ben = await rig.person(1_000, "basic");
    const times = [moment()];
    for (const next of ["pro", "free", "basic"]) {
      await tier(ben, next);
      times.push(moment());
    }
    const costs: number[] = [];
    for (const at of times) costs.push(await points(ben.userId, at));
    expect(costs).to.deep.equal([93, 46.5, 186, 93]);
  });
});
