import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { OPERATOR_ID, startCopy, type Copy } from "./support.ts";

describe("models and prices", () => {
  const places = useStack();
  let copy: Copy;
  before(async () => {
    copy = await startCopy({ databaseUrl: places.databaseUrl });
  });
  after(() => copy.stop());

  it("are added with prices in credits, which makes version 1", async () => {
    const made = await copy.call("POST", "/api/admin/models", {
      name: "first",
      input_price: "30",
      output_price: "60.000001",
      max_output_tokens: 800,
    });
    expect(made.status).to.equal(201);
    expect(made.body.data).to.include({ name: "first", input_price: "30", output_price: "60.000001", price_version: 1, status: "active" });
    const model = await copy.pricing.model("FIRST");
    expect(model?.price).to.include({ inputPrice: 30_000_000n, outputPrice: 60_000_001n, cachedInputPrice: null, version: 1 });
  });

  it("get a new version with author and reason when a price changes, and keep it otherwise", async () => {
    await copy.call("POST", "/api/admin/models", { name: "GPT-4", input_price: "30", output_price: "60", reason: "list price" });
    const before = await copy.pricing.model("gpt-4");
    const described = await copy.call("PATCH", "/api/admin/models/gpt-4", { display_name: "GPT 4" });
    expect(described.body.data).to.include({ name: "GPT-4", display_name: "GPT 4", price_version: 1 });
    const same = await copy.call("PATCH", "/api/admin/models/gpt-4", { input_price: "30.0" });
    expect(same.body.data["price_version"]).to.equal(1);
    const dearer = await copy.call("PATCH", "/api/admin/models/gpt-4", {
      input_price: "31",
      cached_input_price: "3",
      reason: "the vendor's rise",
    });
    expect(dearer.status).to.equal(200);
    expect(dearer.body.data).to.include({ input_price: "31", output_price: "60", cached_input_price: "3", price_version: 2 });
    const fallback = await copy.call("PATCH", "/api/admin/models/gpt-4", { cached_input_price: null });
    expect(fallback.body.data).to.include({ cached_input_price: null, price_version: 3 });

    const history = await copy.call("GET", "/api/admin/prices/gpt-4/history");
    expect(history.body.data.total).to.equal(3);
    expect(history.body.data.items.map((item) => [item["version"], item["input_price"], item["reason"], item["author_id"]])).to.deep.equal([
      [3, "31", null, OPERATOR_ID],
      [2, "31", "the vendor's rise", OPERATOR_ID],
      [1, "30", "list price", OPERATOR_ID],
    ]);
    // A call that began before is priced by what was in force then.
    expect(await copy.pricing.version(before!.price!.id)).to.deep.include({ version: 1, inputPrice: 30_000_000n });
    expect((await copy.pricing.model("gpt-4"))?.price?.version).to.equal(3);
  });

  it("numbers versions without gaps when several operators change a price at once", async () => {
    await copy.call("POST", "/api/admin/models", { name: "busy", input_price: "1", output_price: "1" });
    await Promise.all(Array.from({ length: 8 }, (_, i) => copy.call("PATCH", "/api/admin/models/busy", { input_price: String(i + 2) })));
    const history = await copy.call("GET", "/api/admin/prices/busy/history");
    expect(history.body.data.items.map((item) => item["version"])).to.deep.equal([9, 8, 7, 6, 5, 4, 3, 2, 1]);
  });

  it("tell no price from a price of 0", async () => {
    const unpriced = await copy.call("POST", "/api/admin/models", { name: "unpriced" });
    expect(unpriced.body.data).to.include({ input_price: null, price_version: null });
    expect((await copy.pricing.model("unpriced"))?.price).to.equal(null);
    const free = await copy.call("POST", "/api/admin/models", { name: "free", input_price: "0", output_price: "0" });
    expect(free.body.data).to.include({ input_price: "0", price_version: 1 });
    expect((await copy.pricing.model("free"))?.price?.inputPrice).to.equal(0n);
    const half = await copy.call("PATCH", "/api/admin/models/unpriced", { input_price: "1" });
    expect([half.status, half.body.message]).to.deep.equal([
      400,
      'output_price: is required with the first prices of a model; "0" makes it free',
    ]);
  });

  it("take names with slashes and colons in the path, encoded or not", async () => {
    const name = "anthropic/claude-3.7-sonnet:thinking";
    await copy.call("POST", "/api/admin/models", { name, input_price: "1", output_price: "2" });
    for (const path of [name, encodeURIComponent(name), name.toUpperCase()]) {
      expect((await copy.call("GET", `/api/admin/models/${path}`)).body.data["name"], path).to.equal(name);
    }
    expect((await copy.call("PATCH", `/api/admin/models/${name}`, { status: "inactive" })).body.data["status"]).to.equal("inactive");
    expect((await copy.call("PATCH", `/api/admin/models/${encodeURIComponent(name)}`, { status: "active" })).body.data["status"]).to.equal(
      "active",
    );
    expect((await copy.call("GET", `/api/admin/prices/${name}/history`)).body.data.total).to.equal(1);
    expect((await copy.call("GET", "/api/admin/models/no/such:model")).status).to.equal(404);
  });

  it("are found by alias, and no name or alias can mean two models", async () => {
    await copy.call("POST", "/api/admin/models", { name: "sonnet-4", aliases: ["Claude-Sonnet"], input_price: "1", output_price: "2" });
    expect((await copy.pricing.model("claude-sonnet"))?.name).to.equal("sonnet-4");
    for (const taken of [{ name: "SONNET-4" }, { name: "other", aliases: ["sonnet-4"] }, { name: "CLAUDE-sonnet" }, { name: "sonnet-4" }]) {
      const answer = await copy.call("POST", "/api/admin/models", { ...taken, input_price: "1", output_price: "2" });
      expect([answer.status, answer.body.error?.code], JSON.stringify(taken)).to.deep.equal([409, "conflict"]);
      expect(answer.body.message).to.match(/name|aliases/);
    }
    await copy.call("PATCH", "/api/admin/models/sonnet-4", { aliases: [] });
    expect(await copy.pricing.model("claude-sonnet")).to.equal(undefined);
  });

  it("are listed to everybody only when they can be called", async () => {
    await copy.call("POST", "/api/admin/models", { name: "listed-yes", input_price: "1.5", output_price: "2" });
    await copy.call("POST", "/api/admin/models", { name: "listed-unpriced" });
    await copy.call("POST", "/api/admin/models", { name: "listed-off", status: "inactive", input_price: "1", output_price: "2" });
    const open = await fetch(`${copy.url}/api/models?q=LISTED`);
    const { data } = (await open.json()) as { data: { items: Record<string, unknown>[]; total: number } };
    expect(data.items.map((item) => item["name"])).to.deep.equal(["listed-yes"]);
    expect(data.items[0]).to.include({ input_price: "1.5", output_price: "2", price_version: 1 });
    expect(await copy.pricing.model("listed-off")).to.equal(undefined);
    const all = await copy.call("GET", "/api/admin/models?q=listed&page_size=2");
    expect([all.body.data.items.length, all.body.data.total]).to.deep.equal([2, 3]);
    expect((await copy.call("GET", "/api/admin/models?q=listed&status=inactive")).body.data.total).to.equal(1);
  });

  it("change on every copy at once", async () => {
    const other = await startCopy({ databaseUrl: places.databaseUrl });
    try {
      await copy.call("POST", "/api/admin/models", { name: "shared", input_price: "1", output_price: "2" });
      // The announcement of the new model may come while it is being read, and then it is read again.
      await waitFor(async () => (await other.pricing.model("shared"))?.price?.version === 1 && other.pricing.peek("shared").known);
      await copy.call("PATCH", "/api/admin/models/shared", { output_price: "3" });
      await waitFor(async () => (await other.pricing.model("shared"))?.price?.version === 2, {
        timeoutMs: 1_000,
        message: "the new price on the other copy",
      });
    } finally {
      await other.stop();
    }
  });

  it("are not trusted from memory while changes may be missed", async () => {
    const deaf = await startCopy({ databaseUrl: places.databaseUrl });
    await deaf.invalidation.stop();
    try {
      await copy.call("POST", "/api/admin/models", { name: "deaf", input_price: "1", output_price: "2" });
      expect((await deaf.pricing.model("deaf"))?.price?.version).to.equal(1);
      await copy.call("PATCH", "/api/admin/models/deaf", { output_price: "3" });
      expect((await deaf.pricing.model("deaf"))?.price?.version).to.equal(2);
      expect(deaf.pricing.peek("deaf")).to.deep.equal({ known: false });
    } finally {
      await deaf.stop();
    }
  });

  it("keep their price versions even from somebody with SQL", async () => {
    await copy.call("POST", "/api/admin/models", { name: "kept", input_price: "1", output_price: "2" });
    for (const statement of [
      "UPDATE price_versions SET input_price = 0",
      "DELETE FROM price_versions",
      "TRUNCATE price_versions CASCADE",
      "DELETE FROM models WHERE name = 'kept'",
    ]) {
      const problem = await copy.pool.query(statement).catch((error: Error) => error);
      expect(String(problem), statement).to.match(/append-only|foreign key/);
    }
  });

  it("are changed by operators only, and every change is audited", async () => {
    expect((await copy.call("POST", "/api/admin/models", { name: "x" }, "somebody")).status).to.equal(403);
    await copy.call("POST", "/api/admin/models", { name: "audited", input_price: "1", output_price: "2" });
    const { rows } = await copy.pool.query<{ action: string; details: { price_version: number } }>(
      "SELECT action, details FROM audit_log WHERE target = $1",
      ["model:audited"],
    );
    expect(rows.map((row) => [row.action, row.details.price_version])).to.deep.equal([["model.create", 1]]);
  });

  it("show everybody how their prices have changed and why, but not who did it; the audit log has each change before and after", async () => {
    const name = "vendor/model-x:thinking";
    await copy.call("POST", "/api/admin/models", { name, input_price: "30", output_price: "60", reason: "first" });
    await copy.call("PATCH", `/api/admin/models/${name}`, { output_price: "66", reason: "the vendor's price rose" });
    await copy.call("PATCH", `/api/admin/models/${name}`, { display_name: "X" });
    for (const path of [name, encodeURIComponent(name), name.toUpperCase()]) {
      const { status, body } = await copy.call("GET", `/api/models/${path}/prices`, undefined, "somebody");
      expect(status, path).to.equal(200);
      expect(body.data.total).to.equal(2);
      const [now, before] = body.data.items;
      expect(now).to.include({ version: 2, input_price: "30", output_price: "66", reason: "the vendor's price rose" });
      expect(before).to.include({ version: 1, output_price: "60", reason: "first" });
      expect(now).not.to.have.property("author_id");
      expect(now!["created_at"]).to.match(/Z$/);
    }
    const operators = await copy.call("GET", `/api/admin/prices/${name}/history`);
    expect(operators.body.data.items[0]).to.include({ version: 2, author_id: OPERATOR_ID });
    const { rows } = await copy.pool.query<{ details: { before?: object; prices: { output_price: string } } }>(
      "SELECT details FROM audit_log WHERE target = $1 AND details ? 'prices' ORDER BY id",
      [`model:${name}`],
    );
    expect(rows.map(({ details }) => details.prices.output_price)).to.deep.equal(["60", "66"]);
    expect(rows[1]!.details.before).to.include({ output_price: "60" });
    await copy.call("PATCH", `/api/admin/models/${name}`, { status: "inactive" });
    expect((await copy.call("GET", `/api/models/${name}/prices`, undefined, "somebody")).status).to.equal(404);
    expect((await copy.call("GET", "/api/models/nobody/prices", undefined, "somebody")).status).to.equal(404);
  });

  const refused: [string, Record<string, unknown>][] = [
    ["input_price", { input_price: 30 }],
    ["input_price", { input_price: "-1" }],
    ["input_price", { input_price: "1e30" }],
    ["input_price", { input_price: "NaN" }],
    ["input_price", { input_price: "0.0000001" }],
    ["input_price", { input_price: "100001" }],
    ["output_price", { output_price: null }],
    ["cached_input_price", { cached_input_price: "" }],
    ["name", { name: "" }],
    ["name", { name: "a b" }],
    ["name", { name: "../etc" }],
    ["name", { name: "a//b" }],
    ["name", { name: "x".repeat(101) }],
    ["name", { name: "a\u0000b" }],
    ["name", { name: "a\r\nSet-Cookie: x" }],
    ["aliases", { aliases: [[]] }],
    ["max_output_tokens", { max_output_tokens: -1 }],
    ["max_output_tokens", { max_output_tokens: 1e30 }],
    ["max_output_tokens", { max_output_tokens: "5" }],
    ["context_length", { context_length: 1.5 }],
    ["status", { status: "on" }],
    ["modality", { modality: {} }],
    ["reason", { reason: "x".repeat(501) }],
    ["surprise", { surprise: 1 }],
  ];
  for (const [field, change] of refused) {
    it(`refuse ${JSON.stringify(change).slice(0, 60)} and name ${field}`, async () => {
      const answer = await copy.call("POST", "/api/admin/models", { name: "wrong", input_price: "1", output_price: "1", ...change });
      expect(answer.status).to.equal(400);
      expect(answer.body.message).to.contain(field);
    });
  }
});
