import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import { createUpstream } from "../../../dev/upstream/server.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startCopy, type Copy } from "./support.ts";

const KEY = "sk-very-secret-1234567890";
const OTHER = "sk-other-secret-0987654321";
const NOBODY = "00000000-0000-4000-8000-000000000000";

interface KeyView {
  index: number;
  fingerprint: string | null;
  hint: string | null;
  status: string;
  reason: string | null;
}

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("operators", () => {
  const places = useStack();
  let copy: Copy;
  let upstream: Server;
  let upstreamUrl: string;

  before(async () => {
    copy = await startCopy({ databaseUrl: places.databaseUrl, redisUrl: places.redisUrl, antinomyKey: "sk-from-the-environment" });
    upstream = createUpstream({ key: KEY, paceMs: 0 });
    upstreamUrl = await listen(upstream);
  });
  after(async () => {
    upstream.closeAllConnections();
    upstream.close();
    await copy.stop();
  });

  async function add(change: Record<string, unknown> = {}): Promise<string> {
    const made = await copy.call("POST", "/api/admin/providers", { name: "P", base_url: upstreamUrl, api_key: KEY, ...change });
    expect(made.status, JSON.stringify(made.body)).to.equal(201);
    return made.body.data.id;
  }
  const keysOf = async (id: string) => (await copy.call("GET", `/api/admin/providers/${id}/keys`)).body.data.items as unknown as KeyView[];

  describe("and the keys of a provider", () => {
    it("add and remove them, and see only what tells them apart", async () => {
      const id = await add();
      const added = await copy.call("POST", `/api/admin/providers/${id}/keys`, { api_key: OTHER });
      expect(added.status).to.equal(201);
      const keys = await keysOf(id);
      expect(keys.map(({ index, hint, status }) => [index, hint, status])).to.deep.equal([
        [0, "…7890", "ready"],
        [1, "…4321", "ready"],
      ]);
      expect((await copy.call("GET", `/api/admin/providers/${id}`)).body.data).to.deep.include({ key_count: 2, keys });
      const { rows } = await copy.pool.query("SELECT p::text AS stored, a::text AS audited FROM providers p, audit_log a");
      for (const text of [JSON.stringify(added.body), JSON.stringify(keys), JSON.stringify(rows)]) expect(text).to.not.match(/-secret-/);

      const removed = await copy.call("DELETE", `/api/admin/providers/${id}/keys/${keys[0]!.fingerprint}`);
      expect(removed.status).to.equal(200);
      expect((await keysOf(id)).map(({ fingerprint }) => fingerprint)).to.deep.equal([keys[1]!.fingerprint]);
      const last = await copy.call("DELETE", `/api/admin/providers/${id}/keys/0`);
      expect([last.status, last.body.error?.code]).to.deep.equal([409, "invalid_state"]);
    });

    it("cannot add one twice, nor remove one that is not there", async () => {
      const id = await add();
      expect((await copy.call("POST", `/api/admin/providers/${id}/keys`, { api_key: KEY })).status).to.equal(409);
      await copy.call("POST", `/api/admin/providers/${id}/keys`, { api_key: OTHER });
      for (const which of ["7", "ffffffff"])
        expect((await copy.call("DELETE", `/api/admin/providers/${id}/keys/${which}`)).status).to.equal(404);
      expect((await copy.call("DELETE", `/api/admin/providers/${id}/keys/nonsense`)).status).to.equal(400);
      expect((await copy.call("POST", `/api/admin/providers/${id}/keys`, { api_key: "a b" })).status).to.equal(400);
      expect((await copy.call("POST", `/api/admin/providers/${NOBODY}/keys`, { api_key: KEY })).status).to.equal(404);
      expect((await copy.call("GET", `/api/admin/providers/${id}/keys`, undefined, "somebody")).status).to.equal(403);
    });

    it("show nothing of a short key", async () => {
      const [key] = await keysOf(await add({ api_key: "short-key" }));
      expect(key!.hint).to.equal("…");
    });

    it("can test each of them", async () => {
      const id = await add();
      await copy.call("POST", `/api/admin/providers/${id}/keys`, { api_key: OTHER });
      const [good, bad] = await keysOf(id);
      const test = async (key: KeyView) =>
        (await copy.call("POST", `/api/admin/providers/${id}/test`, { key: key.fingerprint })).body.data["ok"];
      expect([await test(good!), await test(bad!)]).to.deep.equal([true, false]);
      expect((await copy.call("POST", `/api/admin/providers/${id}/test`, { key: "00000000" })).status).to.equal(400);
    });
  });

  it("see a provider's circuits and resting keys, and put it back to use", async () => {
    const id = await add({ name: "shaky" });
    await copy.call("POST", `/api/admin/providers/${id}/models`, { model_name: "shaky" });
    const [candidate] = await copy.catalog.route("shaky");
    const route = { candidate: candidate!, key: candidate!.provider.keys[0]!, trial: false };
    const fail = (record: string, status: number | null) =>
      copy.routing.failed(
        route,
        { code: "upstream_error", status: 502, message: "", record, class: "server" },
        { status, body: undefined, retryAfterMs: undefined, again: false, account: "ada" },
        performance.now(),
      );
    for (let i = 0; i < 2; i++) fail("upstream_5xx", 500);
    fail("upstream_refused", 401);
    const seen = (await copy.call("GET", `/api/admin/providers?q=shaky`)).body.data.items[0]!;
    expect(seen["health"]).to.deep.include({ state: "degraded", retry_at: null });
    const { circuits } = seen["health"] as { circuits: Record<string, unknown>[] };
    const open = circuits.find(({ upstream_model }) => upstream_model === "shaky")!;
    expect(open).to.include({ state: "open", calls: 2, failures: 2 });
    expect(Date.parse(open["retry_at"] as string)).to.be.greaterThan(Date.now());
    expect((seen["keys"] as KeyView[])[0]).to.include({ status: "resting", reason: "refused" });

    const reset = await copy.call("POST", `/api/admin/providers/${id}/reset`);
    expect(reset.status).to.equal(200);
    expect(reset.body.data["health"]).to.include({ state: "closed" });
    expect((reset.body.data["keys"] as KeyView[])[0]).to.include({ status: "ready", reason: null });
    const { rows } = await copy.pool.query("SELECT 1 FROM audit_log WHERE action = 'provider.reset' AND target = $1", [`provider:${id}`]);
    expect(rows).to.have.length(1);
    expect((await copy.call("POST", `/api/admin/providers/${NOBODY}/reset`)).status).to.equal(404);
  });

  it("test providers of Anthropic's format", async () => {
    const id = await add({ api_format: "claude" });
    const listed = await copy.call("POST", `/api/admin/providers/${id}/test`, {});
    expect(listed.body.data).to.include({ ok: true, checked: "models" });
    expect(listed.body.data["models"]).to.include.members(["demo-chat", "demo-fast"]);
    expect((await copy.call("POST", `/api/admin/providers/${id}/test`, { model: "demo-chat" })).body.data).to.include({ ok: true });
    for (const [change, model, kind] of [
      [{ api_key: "wrong" }, undefined, "authentication"],
      [{}, "demo-chat[[fault:status code=529]]", "upstream_error"],
      [{}, "demo-chat[[fault:dead]]", "connection"],
      [{}, "demo-chat[[fault:bad_json]]", "malformed"],
      [{ base_url: `${upstreamUrl}/elsewhere` }, undefined, "not_found"],
    ] as const) {
      await copy.call("PATCH", `/api/admin/providers/${id}`, { base_url: upstreamUrl, api_key: KEY, ...change });
      const { body } = await copy.call("POST", `/api/admin/providers/${id}/test`, model ? { model } : {});
      expect(body.data["error"], kind).to.include({ kind });
      expect(JSON.stringify(body)).to.not.contain(KEY);
    }
  });

  it("test custom providers by their own headers, paths and fields", async () => {
    const seen: { url: string | undefined; headers: Record<string, unknown>; body: string }[] = [];
    const server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => (body += chunk));
      request.on("end", () => {
        seen.push({ url: request.url, headers: request.headers, body });
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(request.method === "GET" ? { data: [{ id: "x/1" }] } : { choices: [] }));
      });
    });
    const url = await listen(server);
    const custom = {
      speaks: "openai",
      auth_header: "api-key",
      auth_template: "Key {{api_key}}",
      paths: { chat: "/deployments/{{model}}/chat?api-version=1", models: "/list" },
      body: { rename: { max_tokens: "max_output" }, set: { source: "tollkeeper" } },
    };
    const id = await add({ base_url: `${url}/openai`, api_format: "custom", config: { custom } });
    expect((await copy.call("POST", `/api/admin/providers/${id}/test`, {})).body.data).to.deep.include({ ok: true, models: ["x/1"] });
    expect((await copy.call("POST", `/api/admin/providers/${id}/test`, { model: "x/1" })).body.data).to.include({ ok: true });
    expect(seen.map((one) => one.url)).to.deep.equal(["/openai/list", "/openai/deployments/x%2F1/chat?api-version=1"]);
    expect(seen[1]!.headers).to.include({ "api-key": `Key ${KEY}` });
    expect(seen[1]!.headers).to.not.have.property("authorization");
    expect(JSON.parse(seen[1]!.body)).to.deep.include({ max_output: 16, source: "tollkeeper" });
    server.closeAllConnections();
    server.close();
  });

  describe("and the models of a provider", () => {
    it("compare what it offers with what it serves, and add some of it", async () => {
      for (const api_format of ["openai", "claude"]) {
        const id = await add({ api_format });
        const at = `/api/admin/providers/${id}`;
        await copy.call("POST", `${at}/models`, { model_name: "Mine", upstream_model: "demo-chat" });
        await copy.call("POST", `${at}/models`, { model_name: "old" });
        const found = await copy.call("POST", `${at}/discover`, {});
        expect(found.body.data["ok"]).to.equal(true);
        expect(found.body.data["models"]).to.deep.include.members([
          { upstream_model: "demo-chat", state: "known", model_names: ["Mine"] },
          { upstream_model: "demo-fast", state: "new", model_names: [] },
          { upstream_model: "old", state: "gone", model_names: ["old"] },
        ]);
        const done = await copy.call("POST", `${at}/models/import`, {
          models: [
            { upstream_model: "demo-fast" },
            { upstream_model: "demo-chat", model_name: "mine" },
            { upstream_model: "a/b:c", model_name: "vendor/b:c" },
          ],
        });
        expect(done.status).to.equal(201);
        expect(done.body.data["skipped"]).to.deep.equal(["mine"]);
        expect((done.body.data["imported"] as { model_name: string }[]).map(({ model_name }) => model_name)).to.deep.equal([
          "demo-fast",
          "vendor/b:c",
        ]);
        expect(await copy.catalog.route("vendor/b:c")).to.have.length(1);
        await copy.call("DELETE", at);
      }
    });

    it("learn why a provider cannot say", async () => {
      const id = await add({ api_key: "wrong-key-of-some-length" });
      const { status, body } = await copy.call("POST", `/api/admin/providers/${id}/discover`, {});
      expect([status, body.data["ok"], body.data["models"]]).to.deep.equal([200, false, []]);
      expect(body.data["error"]).to.include({ kind: "authentication" });
    });

    for (const [field, models] of [
      ["models", []],
      ["models.0.upstream_model", [{ upstream_model: ".." }]],
      ["models.0.model_name", [{ upstream_model: "x", model_name: "a b" }]],
      ["models.0.price", [{ upstream_model: "x", price: 1 }]],
    ] as const) {
      it(`are told that ${field} is wrong in ${JSON.stringify(models)}`, async () => {
        const refused = await copy.call("POST", `/api/admin/providers/${NOBODY}/models/import`, { models });
        expect(refused.status).to.equal(400);
        expect(refused.body.message).to.contain(field);
      });
    }
  });

  describe("and presets", () => {
    it("see all of them", async () => {
      const { body } = await copy.call("GET", "/api/admin/providers/presets");
      expect(body.data.items.map(({ preset }) => preset)).to.deep.equal(["antinomy", "deepseek", "zhipu", "openai", "anthropic"]);
      expect(body.data.items.map(({ key_in_environment }) => key_in_environment)).to.deep.equal([true, false, false, false, false]);
    });

    it("add Antinomy AI with its models and the key of the environment", async () => {
      const made = await copy.call("POST", "/api/admin/providers/from-preset", { preset: "antinomy" });
      expect(made.status).to.equal(201);
      expect(made.body.data).to.include({
        name: "Antinomy AI",
        api_root: "https://antinomy.ai/api/v1",
        api_format: "openai",
        status: "active",
        key_count: 1,
      });
      expect(JSON.stringify(made.body)).to.not.contain("sk-from-the-environment");
      const listed = await copy.call("GET", `/api/admin/providers/${made.body.data.id}/models`);
      expect(listed.body.data.items.map(({ model_name }) => model_name)).to.have.members([
        "anthropic/claude-opus-4",
        "anthropic/claude-sonnet-4",
        "anthropic/claude-3.7-sonnet",
        "anthropic/claude-3.5-sonnet",
        "anthropic/claude-3.7-sonnet:thinking",
        "google/gemini-2.5-pro-preview",
        "x-ai/grok-3-beta",
      ]);
      await waitFor(async () => (await copy.catalog.route("anthropic/claude-3.7-sonnet:thinking")).length === 1);
      const [candidate] = await copy.catalog.route("Anthropic/Claude-3.7-Sonnet:Thinking");
      expect(candidate!.provider.keys[0]!.value).to.equal("sk-from-the-environment");
      await copy.call("DELETE", `/api/admin/providers/${made.body.data.id}`);
    });

    it("need a key for the others, and a name that is known", async () => {
      const without = await copy.call("POST", "/api/admin/providers/from-preset", { preset: "anthropic" });
      expect([without.status, without.body.message]).to.deep.equal([
        400,
        "api_key: is required: the environment has no key for this preset",
      ]);
      const unknown = await copy.call("POST", "/api/admin/providers/from-preset", { preset: "nobody", api_key: KEY });
      expect([unknown.status, unknown.body.message.slice(0, 7)]).to.deep.equal([400, "preset:"]);
    });

    for (const [preset, root, format] of [
      ["deepseek", "https://api.deepseek.com/v1", "openai"],
      ["zhipu", "https://open.bigmodel.cn/api/paas/v4", "openai"],
      ["openai", "https://api.openai.com/v1", "openai"],
      ["anthropic", "https://api.anthropic.com/v1", "claude"],
    ]) {
      it(`add ${preset}, which is called at ${root}`, async () => {
        const made = await copy.call("POST", "/api/admin/providers/from-preset", { preset, api_key: KEY });
        expect(made.status).to.equal(201);
        expect(made.body.data).to.include({ api_root: root, api_format: format });
        await copy.call("DELETE", `/api/admin/providers/${made.body.data.id}`);
      });
    }
  });
});
