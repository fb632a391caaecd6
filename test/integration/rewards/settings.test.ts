import { expect } from "chai";
import { setting } from "../../../src/admin/settings/index.ts";
import { createSettings } from "../../../src/admin/settings/index.ts";
import { createInvalidation } from "../../../src/platform/invalidation.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { MICRO } from "../../../src/platform/credits.ts";
import { checkInSettings, welcomeSettings } from "../../../src/rewards/settings.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { rewardsRig, type Page, type Rig } from "./rig.ts";

interface View {
  version: number;
  items: { key: string; value: unknown; default: unknown; changed: boolean; version: number | null; schema: object; description: string }[];
}

describe("live settings", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await rewardsRig(places);
  });
  after(() => rig.close());

  const read = async () => (await rig.operator.call<View>("GET", "/api/admin/settings")).data;
  const one = async (key: string) => (await read()).items.find((item) => item.key === key)!;
  const patch = async (settings: unknown, more: object = {}) =>
    rig.operator.call<View>("PATCH", "/api/admin/settings", { version: (await read()).version, reason: "a reason", settings, ...more });

  it("are listed with value, default and schema", async () => {
    const shown = await one("checkin.past_table");
    expect(shown).to.include({ value: "last", default: "last", changed: false, version: null });
    expect(shown.schema).to.deep.include({ type: "string", enum: ["last", "repeat"] });
    for (const item of (await read()).items) {
      expect(item.description, item.key).to.match(/\S/);
      expect(Object.keys(item.schema), item.key).to.include("type");
    }
  });

  it("are changed together, each change with its version, author and reason, and go back to their defaults", async () => {
    const { version } = await read();
    const changed = await patch({ "checkin.rewards": ["1.5", "2"], "checkin.makeup_days": 7 }, { reason: "  spring holidays " });
    expect([changed.status, changed.data.version]).to.deep.equal([200, version + 1]);
    expect(await one("checkin.rewards")).to.deep.include({ value: ["1.5", "2"], changed: true, version: version + 1 });
    expect((await rig.settings.read(checkInSettings)).rewards).to.deep.equal([1_500_000n, 2n * MICRO]);
    const back = await patch({ "checkin.rewards": null });
    expect(back.data.version).to.equal(version + 2);
    expect(await one("checkin.rewards")).to.deep.include({ value: ["1", "1", "2", "2", "3", "3", "5"], changed: false });
    expect(await one("checkin.makeup_days")).to.deep.include({ value: 7, version: version + 1 });

    const history = await rig.operator.call<Page>("GET", "/api/admin/settings/history?key=checkin.rewards");
    expect(
      history.data.items.map(({ version: at, value, previous, reason, author_id }) => ({ at, value, previous, reason, author_id })),
    ).to.deep.equal([
      { at: version + 2, value: null, previous: ["1.5", "2"], reason: "a reason", author_id: rig.operator.id },
      { at: version + 1, value: ["1.5", "2"], previous: null, reason: "spring holidays", author_id: rig.operator.id },
    ]);
    const audit = await rig.pool.query("SELECT actor_id, details FROM audit_log WHERE action = 'settings.change' ORDER BY id");
    expect(audit.rows.at(-2)).to.deep.equal({
      actor_id: rig.operator.id,
      details: {
        version: version + 1,
        reason: "spring holidays",
        changes: [
          { key: "checkin.rewards", value: ["1.5", "2"], previous: null },
          { key: "checkin.makeup_days", value: 7, previous: null },
        ],
      },
    });
  });

  it("whoever read an older version is told, and changes nothing", async () => {
    const { version } = await read();
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => patch({ "referral.monthly_cap": 100 + index }, { version })));
    expect(answers.filter(({ status }) => status === 200)).to.have.length(1);
    for (const { error } of answers.filter(({ status }) => status !== 200)) {
      expect(error).to.deep.include({ code: "conflict", details: { version: version + 1 } });
    }
    expect((await read()).version).to.equal(version + 1);
  });

  it("a value that is not right is refused by name, with all others of the request", async () => {
    const { version } = await read();
    for (const [settings, field] of [
      [{ "checkin.enabled": false, "checkin.rewards": [] }, "settings.checkin.rewards"],
      [{ "checkin.rewards": ["1", "-1"] }, "settings.checkin.rewards.1"],
      [{ "checkin.rewards": [1] }, "settings.checkin.rewards.0"],
      [{ "welcome.credits": "1000000.000001" }, "settings.welcome.credits"],
      [{ "checkin.past_table": "forget" }, "settings.checkin.past_table"],
      [{ "no.such": 1 }, "settings.no.such"],
      [{ __proto__: { x: 1 }, "checkin.priority": 101 }, "settings.checkin.priority"],
      [{}, "settings"],
    ] as const) {
      const { status, error } = await patch(settings);
      expect([status, error?.code], JSON.stringify(settings)).to.deep.equal([400, "validation_failed"]);
      expect((error?.details as unknown as { field: string }[] | undefined)?.map((problem) => problem.field)).to.deep.equal([field]);
    }
    for (const more of [{ reason: " " }, { reason: undefined }, { version: -1 }, { version: undefined }, { extra: 1 }]) {
      expect((await patch({ "checkin.enabled": false }, more)).status).to.equal(400);
    }
    expect(await read()).to.include({ version });
  });

  it("what is already so makes no version", async () => {
    await patch({ "checkin.priority": 30 });
    const { version } = await read();
    expect((await patch({ "checkin.priority": 30 })).data.version).to.equal(version);
    expect((await patch({ "welcome.credits": null })).data.version).to.equal(version);
  });

  it("are for operators", async () => {
    const ada = await rig.somebody();
    for (const [method, path] of [
      ["GET", "/api/admin/settings"],
      ["PATCH", "/api/admin/settings"],
      ["GET", "/api/admin/settings/history"],
    ] as const)
      expect((await ada.call(method, path, method === "PATCH" ? {} : undefined)).error?.code).to.equal("forbidden");
  });

  it("a change is in force on every copy at once, without a restart", async () => {
    const copy = await rig.copy();
    await waitFor(async () => (await copy.settings.read(welcomeSettings)).credits === 0n);
    const began = performance.now();
    await patch({ "welcome.credits": "7" });
    expect((await rig.settings.read(welcomeSettings)).credits).to.equal(7n * MICRO);
    await waitFor(async () => (await copy.settings.read(welcomeSettings)).credits === 7n * MICRO, { timeoutMs: 1_000, everyMs: 5 });
    expect(performance.now() - began).to.be.below(1_000);
    await copy.close();
  });

  it("the environment gives a default; a stored value that a stricter release refuses gives way to it", async () => {
    const log = createLogger({ level: "silent", name: "test" });
    const invalidation = createInvalidation({ url: places.databaseUrl, log });
    const of = (groups: Parameters<typeof createSettings>[0]["groups"], fallbacks = {}) =>
      createSettings({ pool: rig.pool, invalidation, log, groups, fallbacks });
    await patch({ "welcome.credits": "7" });
    const strict = {
      credits: setting({ ...welcomeSettings.credits, schema: welcomeSettings.credits.schema.refine((micro) => micro < MICRO) }),
    };
    expect(await of([strict], { "welcome.credits": "0.5" }).read(strict)).to.deep.equal({ credits: 500_000n });
    expect((await of([welcomeSettings], { "welcome.credits": "0.5" }).read(welcomeSettings)).credits).to.equal(7n * MICRO);
    expect(() => of([welcomeSettings], { "welcome.credits": "many" })).to.throw();
    expect(() => of([welcomeSettings, welcomeSettings])).to.throw("declared twice");
  });
});
