import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import { createUpstream } from "../../../dev/upstream/server.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startCopy, type Copy } from "./support.ts";

const KEY = "sk-very-secret-1234567890";
const NOBODY = "00000000-0000-4000-8000-000000000000";
const given = { name: "P", base_url: "https://api.example.com/v1", api_key: KEY, api_format: "openai" };

describe("providers", () => {
  const places = useStack();
  let copy: Copy;
  let upstream: Server;
  let upstreamUrl: string;

  before(async () => {
    copy = await startCopy({ databaseUrl: places.databaseUrl });
    upstream = createUpstream({ key: KEY, paceMs: 0 }).listen(0, "127.0.0.1");
    await once(upstream, "listening");
    upstreamUrl = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  });
  after(async () => {
    upstream.closeAllConnections();
    upstream.close();
    await copy.stop();
  });

  async function add(change: Record<string, unknown> = {}): Promise<string> {
    const made = await copy.call("POST", "/api/admin/providers", { ...given, ...change });
    expect(made.status, JSON.stringify(made.body)).to.equal(201);
    return made.body.data.id;
  }

  it("never show a key or a header's value again, and store both encrypted", async () => {
    const id = await add({ headers: { "x-tenant": "hush-hush" } });
    await copy.call("PATCH", `/api/admin/providers/${id}`, { weight: 5 });
    const answers = [await copy.call("GET", `/api/admin/providers/${id}`), await copy.call("GET", "/api/admin/providers")];
    expect(answers[0]!.body.data).to.deep.include({ key_count: 1, header_names: ["x-tenant"], weight: 5 });
    const { rows } = await copy.pool.query("SELECT p::text AS stored, a::text AS audited FROM providers p, audit_log a");
    for (const text of [JSON.stringify(answers), JSON.stringify(rows)]) expect(text).to.not.match(/sk-very-secret|hush-hush/);
  });

  for (const [written, stored, root] of [
    ["https://x.example/api/v1", "https://x.example/api", "https://x.example/api/v1"],
    ["https://x.example/api/v1/", "https://x.example/api", "https://x.example/api/v1"],
    ["https://x.example", "https://x.example", "https://x.example/v1"],
    ["https://X.example/", "https://x.example", "https://x.example/v1"],
    ["https://x.example/v1/", "https://x.example", "https://x.example/v1"],
    ["https://x.example/api/paas/v4", "https://x.example/api/paas/v4", "https://x.example/api/paas/v4"],
  ]) {
    it(`with the base URL ${written} are called at ${root}`, async () => {
      const made = await copy.call("POST", "/api/admin/providers", { ...given, base_url: written });
      expect(made.body.data).to.include({ base_url: stored, api_root: root });
    });
  }

  const refused: [string, Record<string, unknown>][] = [
    ["base_url", { base_url: "ftp://x.example" }],
    ["base_url", { base_url: "x.example" }],
    ["base_url", { base_url: "https://user:pass@x.example" }],
    ["base_url", { base_url: "https://x.example/?a=1" }],
    ["base_url", { base_url: "https://x.example/#a" }],
    ["base_url", { base_url: "https://x.example/\r\nHost: y" }],
    ["base_url", { base_url: "http://" }],
    ["base_url", { base_url: `https://x.example/${"a".repeat(300)}` }],
    ["api_key", { api_key: "a\r\nb" }],
    ["api_key", { api_key: "" }],
    ["api_format", { api_format: "coze" }],
    ["config.dify.input_percent", { api_format: "dify", config: { dify: { input_percent: 101 } } }],
    ["api_format", { api_format: "soap" }],
    ["config.custom", { api_format: "custom" }],
    ["config.custom", { api_format: "openai", config: { custom: { speaks: "openai" } } }],
    ["config.custom.speaks", { api_format: "custom", config: { custom: { speaks: "dify" } } }],
    ["config.custom.paths.chat", { api_format: "custom", config: { custom: { speaks: "openai", paths: { chat: "//evil.example/x" } } } }],
    ["config.custom.auth_template", { api_format: "custom", config: { custom: { speaks: "openai", auth_template: "Bearer x" } } }],
    ["priority", { priority: 1e30 }],
    ["weight", { weight: -1 }],
    ["weight", { weight: "5" }],
    ["status", { status: "on" }],
    ["timeouts.idle_ms", { timeouts: { idle_ms: -5 } }],
    ["timeouts.nap_ms", { timeouts: { nap_ms: 5 } }],
    ["headers", { headers: { authorization: "Bearer x" } }],
    ["headers", { headers: { "x-a": "b\r\nc" } }],
    ["config.skip_done", { config: { skip_done: "yes" } }],
    ["config", { config: { big: "x".repeat(9_000) } }],
    ["name", { name: "" }],
    ["surprise", { surprise: 1 }],
  ];
  for (const [field, change] of refused) {
    it(`refuse ${JSON.stringify(change).slice(0, 60)} and name ${field}`, async () => {
      const answer = await copy.call("POST", "/api/admin/providers", { ...given, ...change });
      expect(answer.status).to.equal(400);
      expect(answer.body.message).to.contain(field);
    });
  }

  it("answer 404 for ids nobody has and 400 for ids that are none", async () => {
    for (const [method, path, body] of [
      ["GET", "", undefined],
      ["PATCH", "", {}],
      ["DELETE", "", undefined],
      ["POST", "/test", {}],
      ["GET", "/models", undefined],
      ["POST", "/models", { model_name: "m" }],
      ["PATCH", `/models/${NOBODY}`, {}],
      ["DELETE", `/models/${NOBODY}`, undefined],
    ] as const) {
      expect((await copy.call(method, `/api/admin/providers/${NOBODY}${path}`, body)).status, `${method} ${path}`).to.equal(404);
      expect((await copy.call(method, `/api/admin/providers/nonsense${path}`, body)).status, `${method} ${path}`).to.equal(400);
    }
  });

  it("may not lead to private addresses unless that is allowed", async () => {
    const strict = await startCopy({ databaseUrl: places.databaseUrl, allowPrivate: false });
    try {
      for (const base_url of [
        "http://127.0.0.1:1",
        "http://localhost",
        "http://10.0.0.1",
        "http://[::1]",
        "http://2130706433",
        "http://169.254.169.254/latest",
        "http://[::ffff:10.0.0.1]",
      ]) {
        const answer = await strict.call("POST", "/api/admin/providers", { ...given, base_url });
        expect([answer.status, answer.body.message], base_url).to.deep.equal([400, "base_url: must not lead to a private address"]);
      }
      // One saved while it was allowed is not connected to afterwards.
      const id = await add({ base_url: upstreamUrl });
      const tested = await strict.call("POST", `/api/admin/providers/${id}/test`, {});
      expect(tested.body.data).to.deep.include({ ok: false });
      expect(tested.body.data["error"]).to.include({ kind: "private_address" });
    } finally {
      await strict.stop();
    }
  });

  it("are tested by listing their models or by a few tokens, with the latency or the reason", async () => {
    const id = await add({ base_url: `${upstreamUrl}/v1` });
    const listed = await copy.call("POST", `/api/admin/providers/${id}/test`, {});
    expect(listed.body.data).to.deep.include({ ok: true, checked: "models" });
    expect(listed.body.data["models"]).to.include.members(["demo-chat", "demo-fast"]);
    expect(listed.body.data["latency_ms"]).to.be.greaterThan(0);
    const asked = await copy.call("POST", `/api/admin/providers/${id}/test`, { model: "demo-chat" });
    expect(asked.body.data).to.include({ ok: true, checked: "chat" });

    const failures: [Record<string, unknown>, string | undefined, string][] = [
      [{ api_key: "wrong" }, undefined, "authentication"],
      [{}, "demo-chat[[fault:status code=429]]", "rate_limited"],
      [{}, "demo-chat[[fault:status code=503]]", "upstream_error"],
      [{}, "demo-chat[[fault:dead]]", "connection"],
      [{}, "demo-chat[[fault:bad_json]]", "malformed"],
      [{}, "demo-chat[[fault:html_page]]", "malformed"],
      [{}, "demo-chat[[fault:redirect]]", "upstream_error"],
      [{ base_url: `${upstreamUrl}/elsewhere` }, undefined, "not_found"],
      [{ base_url: "http://127.0.0.1:1" }, undefined, "connection"],
    ];
    for (const [change, model, kind] of failures) {
      await copy.call("PATCH", `/api/admin/providers/${id}`, { base_url: upstreamUrl, api_key: KEY, ...change });
      const { status, body } = await copy.call("POST", `/api/admin/providers/${id}/test`, model ? { model } : {});
      expect([status, body.data["ok"]], kind).to.deep.equal([200, false]);
      expect(body.data["error"], JSON.stringify(change) + model).to.include({ kind });
    }
  });

  describe("that serve a model", () => {
    const serve = (id: string, model_name: string, more = {}) =>
      copy.call("POST", `/api/admin/providers/${id}/models`, { model_name, ...more });
    const names = async (model: string) => (await copy.catalog.route(model)).map((candidate) => candidate.provider.name);

    it("are found with everything a call needs", async () => {
      const id = await add({
        name: "full",
        base_url: upstreamUrl,
        timeouts: { idle_ms: 300 },
        headers: { "x-tenant": "t" },
        config: { skip_done: true, note: 1 },
      });
      const added = await serve(id, "Full/Model:1", { upstream_model: "demo-chat", input_price: "1.5", price_currency: "USD" });
      expect(added.status).to.equal(201);
      expect(added.body.data).to.include({ input_price: "1.5", output_price: null, price_currency: "USD", price_per_tokens: 1_000 });
      const [candidate] = await copy.catalog.route("full/model:1");
      expect(candidate).to.deep.include({ upstreamModel: "demo-chat", priority: 0, weight: 1 });
      expect(candidate!.provider).to.deep.include({
        id,
        name: "full",
        baseUrl: upstreamUrl,
        apiRoot: `${upstreamUrl}/v1`,
        speaks: "openai",
        headers: { "x-tenant": "t" },
        timeouts: { connectMs: 1_000, firstByteMs: 2_000, wholeMs: 2_500, idleMs: 300, totalMs: 4_000 },
        flags: { skipDone: true, forwardTrace: false },
      });
      expect(candidate!.provider.keys.map(({ value }) => value)).to.deep.equal([KEY]);
    });

    it("cost what was set, of every kind; one price that is known makes the others nothing or as their neighbour", async () => {
      const id = await add();
      const costs = { output_price: "60", cache_write_1h_price: "6", web_search_price: "10", second_price: "0.000001" };
      const made = await serve(id, "costly", { ...costs, price_currency: "USD" });
      expect(made.body.data).to.include({ ...costs, input_price: null, image_price: null });
      const changed = await copy.call("PATCH", `/api/admin/providers/${id}/models/${made.body.data.id}`, {
        output_price: null,
        image_price: "2",
      });
      expect(changed.body.data).to.include({ ...costs, output_price: null, image_price: "2" });
      const [candidate] = await copy.catalog.route("costly");
      expect(candidate!.costs).to.deep.equal({
        currency: "USD",
        prices: {
          inputPrice: 0n,
          outputPrice: 0n,
          cachedInputPrice: null,
          cacheWritePrice: null,
          cacheWriteLongPrice: 6_000_000n,
          reasoningPrice: null,
          requestPrice: 0n,
          imagePrice: 2_000_000n,
          secondPrice: 1n,
          characterPrice: 0n,
          searchPrice: 10_000_000n,
        },
      });
      await serve(id, "unknown-cost");
      expect((await copy.catalog.route("unknown-cost"))[0]!.costs, "no price at all is not known").to.equal(null);
    });

    it("serve each name once, ignoring case", async () => {
      const id = await add();
      expect((await serve(id, "Once")).status).to.equal(201);
      const again = await serve(id, "once");
      expect([again.status, again.body.message]).to.deep.equal([409, "model_name: is served by this provider already"]);
    });

    it("stand in the order of their priority", async () => {
      for (const [name, priority] of [
        ["low", 0],
        ["high", 10],
        ["middle", 5],
      ] as const) {
        await serve(await add({ name, priority }), "ranked");
      }
      expect(await names("ranked")).to.deep.equal(["high", "middle", "low"]);
    });

    it("are left out when they, or the model there, are inactive or gone", async () => {
      const id = await add({ name: "switched" });
      const model = (await serve(id, "switched")).body.data.id;
      const at = `/api/admin/providers/${id}`;
      expect(await names("switched")).to.deep.equal(["switched"]);
      await copy.call("PATCH", `${at}/models/${model}`, { status: "inactive" });
      expect(await names("switched")).to.deep.equal([]);
      await copy.call("PATCH", `${at}/models/${model}`, { status: "active" });
      await copy.call("PATCH", at, { status: "inactive" });
      expect(await names("switched")).to.deep.equal([]);
      await copy.call("PATCH", at, { status: "active" });
      expect(await names("switched")).to.deep.equal(["switched"]);
      expect((await copy.call("DELETE", `${at}/models/${model}`)).status).to.equal(204);
      expect(await names("switched")).to.deep.equal([]);
      expect((await copy.call("DELETE", at)).status).to.equal(204);
      expect((await copy.call("GET", at)).status).to.equal(404);
    });

    it("change on every copy at once", async () => {
      const other = await startCopy({ databaseUrl: places.databaseUrl });
      try {
        const id = await add({ name: "everywhere" });
        await serve(id, "everywhere");
        expect(await other.catalog.route("everywhere")).to.have.length(1);
        // The announcement of what was just made may still drop what was read.
        await waitFor(async () => (await other.catalog.route("everywhere")) && other.catalog.peek("everywhere")?.length === 1, {
          timeoutMs: 1_000,
          message: "the catalogue in memory",
        });
        await copy.call("PATCH", `/api/admin/providers/${id}`, { api_key: "sk-new" });
        await waitFor(async () => (await other.catalog.route("everywhere"))[0]?.provider.keys[0]?.value === "sk-new", {
          timeoutMs: 1_000,
          message: "the new key",
        });
      } finally {
        await other.stop();
      }
    });

    it("do not take the others along when their key cannot be decrypted", async () => {
      const [good, bad] = [await add({ name: "good" }), await add({ name: "bad" })];
      for (const id of [good, bad]) await serve(id, "mixed");
      await copy.pool.query("UPDATE providers SET api_keys = '{lost.a.b.c}' WHERE id = $1", [bad]);
      copy.catalog.drop();
      expect(await names("mixed")).to.deep.equal(["good"]);
      const tested = await copy.call("POST", `/api/admin/providers/${bad}/test`, {});
      expect([tested.status, tested.body.error?.code]).to.deep.equal([409, "invalid_state"]);
      await copy.call("DELETE", `/api/admin/providers/${bad}`);
    });
  });
});
