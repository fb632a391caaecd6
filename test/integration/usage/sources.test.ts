import { createHmac } from "node:crypto";
import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createSecretBox } from "../../../src/platform/secrets.ts";
import { sourceRoutes } from "../../../src/usage/index.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startDify, type DifyRig } from "../dify/rig.ts";

interface Source {
  name: string;
  api_key: string;
  secret: string;
}

interface Result {
  id: string;
  status: string;
  code: string | null;
  repeat: boolean;
  points: string | null;
  tokens: number | null;
  shortfall: string | null;
}

describe("usage that other platforms report", () => {
  const places = useStack();
  let rig: DifyRig;
  let coze: Source;
  before(async () => {
    const secretBox = createSecretBox([{ id: "t", secret: Buffer.alloc(32, 1) }]);
    rig = await startDify(places.databaseUrl, {
      more: (pool, { intake, refusals }) => sourceRoutes({ pool, secretBox, intake, refusals }),
    });
    await rig.model("gpt-4");
    coze = await make("coze");
  });
  after(async () => {
    const proof = await rig.ledger.verify();
    await rig.close();
    expect(proof.differences).to.deep.equal([]);
  });

  async function make(name: string): Promise<Source> {
    const { status, body } = await rig.admin<Source>("POST", "/api/admin/usage/sources", { name });
    expect(status).to.equal(201);
    return body.data;
  }
  const use = (more: object = {}) => ({
    id: uuidv7(),
    user_id: "somebody",
    model: "GPT-4",
    input_tokens: 1_500,
    output_tokens: 800,
    at: new Date().toISOString(),
    ...more,
  });
  async function report(source: Source, events: unknown, more: { age?: number; secret?: string; key?: string; raw?: string } = {}) {
    const raw = more.raw ?? JSON.stringify({ events });
    const timestamp = String(Math.floor(Date.now() / 1_000) - (more.age ?? 0));
    const signature = createHmac("sha256", more.secret ?? source.secret)
      .update(`${timestamp}.${raw}`)
      .digest("hex");
    const response = await fetch(`${rig.url}/api/usage/sources/${source.name}/events`, {
      method: "POST",
      headers: { "x-api-key": more.key ?? source.api_key, "x-timestamp": timestamp, "x-signature": `sha256=${signature}` },
      body: raw,
    });
    const answer = (await response.json()) as { data?: { items: Result[] }; error?: { code: string; details?: { field: string }[] } };
    return { status: response.status, items: answer.data?.items ?? [], error: answer.error };
  }

  it("is charged by the price of its model, each use once, and shown in the user's history", async () => {
    const ada = await rig.person(1_000);
    const uses = [use({ user_id: ada.userId, conversation_id: "c1" }), use({ user_id: ada.userId, output_tokens: 0, input_tokens: 1 })];
    const first = await report(coze, uses);
    expect([
      first.status,
      first.items.map(({ id, status, code, repeat, points, tokens }) => [id, status, code, repeat, points, tokens]),
    ]).to.deep.equal([
      200,
      [
        [uses[0]!.id, "charged", null, false, "93", 2_300],
        [uses[1]!.id, "charged", null, false, "0.03", 1],
      ],
    ]);
    const again = await Promise.all(Array.from({ length: 10 }, () => report(coze, uses)));
    for (const { items } of again)
      expect(items.map(({ points, repeat }) => [points, repeat])).to.deep.equal([
        ["93", true],
        ["0.03", true],
      ]);
    expect((await rig.balance(ada)).total).to.equal(906_970_000n);
  });

  it("of different platforms has ids and users of its own", async () => {
    const fast = await make("fastgpt");
    const [ada, ben] = [await rig.person(200), await rig.person(200)];
    for (const [external_id, { userId }] of [
      ["coze:7", ada],
      ["fastgpt:7", ben],
    ] as const)
      expect((await rig.admin("POST", "/api/admin/dify/users", { external_id, user_id: userId })).status).to.equal(201);
    const same = use({ user_id: "7" });
    expect((await report(coze, [same])).items[0]).to.include({ status: "charged", repeat: false });
    expect((await report(fast, [same])).items[0]).to.include({ status: "charged", repeat: false });
    expect([(await rig.balance(ada)).total, (await rig.balance(ben)).total]).to.deep.equal([107_000_000n, 107_000_000n]);
  });

  it("that cannot be charged yet is kept and charged when it can; what the wallet does not have is owed", async () => {
    const name = `new-${uuidv7().slice(-6)}`;
    const ada = await rig.person(1_000);
    const [stranger, unknown] = [use({ user_id: name }), use({ user_id: ada.userId, model: name })];
    const { items } = await report(coze, [stranger, unknown]);
    expect(items.map(({ status, code }) => [status, code])).to.deep.equal([
      ["open", "user_not_found"],
      ["open", "model_not_found"],
    ]);
    await rig.admin("POST", "/api/admin/dify/users", { external_id: `coze:${name}`, user_id: ada.userId });
    await rig.model(name);
    await rig.sweep();
    expect((await report(coze, [stranger, unknown])).items.map(({ status, points }) => [status, points])).to.deep.equal([
      ["charged", "93"],
      ["charged", "93"],
    ]);
    const poor = await rig.person(50);
    expect((await report(coze, [use({ user_id: poor.userId })])).items[0]).to.include({
      status: "charged",
      code: "insufficient_balance",
      points: "50",
      shortfall: "43",
    });
  });

  it("is refused, and none of it charged, when its sender or what it says is not right", async () => {
    const ada = await rig.person(1_000);
    const good = use({ user_id: ada.userId });
    for (const [what, events, more, status, code] of [
      ["another key", [good], { key: "sk-src-x" }, 401, "unauthenticated"],
      ["another secret", [good], { secret: "x" }, 401, "invalid_signature"],
      ["an old signature", [good], { age: 301 }, 401, "request_expired"],
      ["no JSON", [], { raw: "{" }, 400, "validation_failed"],
      ["nothing", [], {}, 400, "validation_failed"],
      ["too many", Array.from({ length: 101 }, () => good), {}, 400, "validation_failed"],
      ["a negative count", [good, use({ user_id: ada.userId, input_tokens: -1 })], {}, 400, "validation_failed"],
      ["a fraction", [good, use({ output_tokens: 0.5 })], {}, 400, "validation_failed"],
      ["too many tokens", [good, use({ output_tokens: 1e18 })], {}, 400, "validation_failed"],
      ["the future", [good, use({ at: "2999-01-01T00:00:00Z" })], {}, 400, "validation_failed"],
      ["long ago", [good, use({ at: "2020-01-01T00:00:00Z" })], {}, 400, "validation_failed"],
      ["an unknown field", [good, use({ price: 0 })], {}, 400, "validation_failed"],
      ["too large", [], { raw: " ".repeat(262_145) }, 413, "payload_too_large"],
    ] as [string, unknown[], object, number, string][]) {
      const answer = await report(coze, events, more);
      expect([answer.status, answer.error?.code], what).to.deep.equal([status, code]);
    }
    for (const name of ["nobody", "COZE", "a%00b", "'; DROP TABLE users; --"].map((text) => text.replaceAll(" ", "%20")))
      expect((await report({ ...coze, name }, [good])).status, name).to.equal(401);
    expect((await rig.balance(ada)).total).to.equal(1_000_000_000n);
  });

  it("and is refused is kept for operators under its platform, its secrets masked; what came with the right signature cannot be replayed as Dify's", async () => {
    const lark = await make("lark");
    const good = use();
    await report(lark, [good], { key: "sk-src-wrong" });
    await report(lark, [good], { secret: "x" });
    await report(lark, [good], { age: 301 });
    await report(lark, [], { raw: '{"events":' });
    await report({ ...lark, name: "nobody-knows" }, [good]);
    interface Refusal {
      id: string;
      reason: string;
      source: string | null;
      status: number;
      authenticated: boolean;
      body: string;
      headers: Record<string, string>;
      replayable: boolean;
    }
    const of = async (source: string) =>
      (await rig.admin<{ items: Refusal[] }>("GET", `/api/admin/dify/refusals?source=${encodeURIComponent(source)}`)).body.data.items;
    const kept = await waitFor(async () => ((await of("lark")).length === 4 ? of("lark") : undefined), {
      timeoutMs: 5_000,
      message: "four refusals",
    });
    expect(kept!.map(({ reason, status, authenticated, replayable }) => [reason, status, authenticated, replayable]).sort()).to.deep.equal([
      ["forged", 401, false, false],
      ["key_wrong", 401, false, false],
      ["malformed", 400, true, false],
      ["stale", 401, true, false],
    ]);
    const late = kept!.find(({ reason }) => reason === "stale")!;
    expect(late.body).to.contain(good.id);
    expect(JSON.stringify(kept)).not.to.contain(lark.api_key).and.not.to.contain(lark.secret);
    expect((await rig.admin("POST", `/api/admin/dify/refusals/${late.id}/replay`)).status).to.equal(409);
    expect((await of("?")).map(({ reason }) => reason)).to.include("key_wrong");
  });

  it("comes with a key and secret that are shown once, changed at once and switched off", async () => {
    const ada = await rig.person(1_000);
    const old = await make("other");
    expect((await rig.admin("POST", "/api/admin/usage/sources", { name: "other" })).status).to.equal(409);
    const list = await rig.admin<{ items: Source[] }>("GET", "/api/admin/usage/sources");
    expect(JSON.stringify(list.body.data)).to.contain('"other"').and.not.contain(old.secret).and.not.contain(old.api_key);
    const now = (await rig.admin<Source>("POST", "/api/admin/usage/sources/other/rotate", {})).body.data;
    const events = [use({ user_id: ada.userId })];
    expect((await report(old, events)).status).to.equal(401);
    expect((await report({ ...old, api_key: now.api_key }, events)).status).to.equal(401);
    expect((await report(now, events)).status).to.equal(200);
    expect((await rig.admin("PATCH", "/api/admin/usage/sources/other", { status: "disabled" })).status).to.equal(200);
    expect((await report(now, [use({ user_id: ada.userId })])).status).to.equal(401);
    const { rows } = await rig.pool.query<{ action: string }>(
      "SELECT action FROM audit_log WHERE target = 'usage_source:other' ORDER BY id",
    );
    expect(rows.map(({ action }) => action)).to.deep.equal(["usage_source.create", "usage_source.rotate", "usage_source.update"]);
  });
});
