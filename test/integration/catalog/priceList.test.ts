import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startCopy, type Copy } from "./support.ts";

interface Outcome {
  dry_run: boolean;
  applied: boolean;
  revision: string;
  summary: Record<"added" | "changed" | "unchanged" | "invalid", number>;
  added: Row[];
  changed: Row[];
  unchanged: Row[];
  invalid: (Row & { problems: { field: string; message: string }[] })[];
}
interface Row {
  line: number;
  model: string;
  changes: { field: string; from: unknown; to: unknown }[];
}

describe("a price list", () => {
  const places = useStack();
  let here: Copy;
  let there: Copy;

  before(async () => {
    [here, there] = [await startCopy({ databaseUrl: places.databaseUrl }), await startCopy({ databaseUrl: places.databaseUrl })];
  });
  after(() => Promise.all([here.stop(), there.stop()]));
  async function send(
    body: string | object,
    query = "",
    as = "operator",
  ): Promise<{ status: number; data: Outcome; error?: { code: string; details?: unknown } }> {
    const csv = typeof body === "string";
    const answer = await fetch(`${here.url}/api/admin/prices/import${query}`, {
      method: "POST",
      headers: { "content-type": csv ? "text/csv" : "application/json", "x-as": as },
      body: csv ? body : JSON.stringify(body),
    });
    const { data, error } = (await answer.json()) as { data: Outcome; error?: { code: string; details?: unknown } };
    return { status: answer.status, data, ...(error ? { error } : {}) };
  }
  const preview = async (body: string | object) => (await send(body)).data;
  const apply = (body: string | object, revision: string) => send(body, `?dry_run=false&revision=${revision}&reason=monthly`);
  const model = async (name: string) => (await here.call("GET", `/api/admin/models/${encodeURIComponent(name)}`)).body.data;
  const put = (name: string, more: object = {}) =>
    here.call("POST", "/api/admin/models", { name, input_price: "30", output_price: "60", ...more });

  it("is compared with what is there: what is new, changed, the same, and not valid, by line", async () => {
    await put("list/same", { aliases: ["same-alias"] });
    await put("list/dear", { cached_input_price: "3" });
    const csv = [
      "name,input_price,output_price,cached_input_price,max_output_tokens,display_name",
      "SAME-ALIAS,30.0,60,,,",
      'list/dear,45,60,null,4096,"Dear, and ""quoted"""',
      "list/new,1.5,2,,,",
      "list/half,1,,,,",
      "list/wrong,-1,abc,,x,",
      "list/new,1,1,,,",
      "list/short,1",
    ].join("\r\n");
    const { revision, ...seen } = await preview(`\ufeff${csv}\r\n`);
    expect(revision).to.match(/^[0-9a-f]{32}$/);
    expect(seen.summary).to.deep.equal({ added: 1, changed: 1, unchanged: 1, invalid: 4 });
    expect(seen).to.include({ dry_run: true, applied: false });
    expect(seen.unchanged).to.deep.equal([{ line: 2, model: "list/same" }]);
    expect(seen.changed).to.deep.equal([
      {
        line: 3,
        model: "list/dear",
        changes: [
          { field: "input_price", from: "30", to: "45" },
          { field: "cached_input_price", from: "3", to: null },
          { field: "display_name", from: null, to: 'Dear, and "quoted"' },
          { field: "max_output_tokens", from: null, to: 4_096 },
        ],
      },
    ]);
    expect(seen.added[0]).to.include({ line: 4, model: "list/new" });
    expect(seen.added[0]!.changes).to.deep.include({ field: "input_price", from: null, to: "1.5" });
    expect(seen.invalid.map(({ line, model: name, problems }) => [line, name, problems.map(({ field }) => field)])).to.deep.equal([
      [5, "list/half", ["output_price"]],
      [6, "list/wrong", ["max_output_tokens", "input_price", "output_price"]],
      [7, "list/new", ["name"]],
      [8, "list/short", ["row"]],
    ]);
    expect(await model("list/dear"), "a preview changes nothing").to.include({ input_price: "30", price_version: 1 });
    expect((await here.call("GET", "/api/admin/models/list%2Fnew")).status).to.equal(404);
  });

  it("is applied whole, once, and every copy sells at the new prices at once", async () => {
    await put("apply/a");
    await put("apply/b");
    const list = "name;input_price;output_price\napply/a;31;61\napply/b;30;60\napply/c;0.5;0.75\n";
    const { revision } = await preview(list);
    const applied = await apply(list, revision);
    expect(applied.status).to.equal(200);
    expect(applied.data).to.include({ dry_run: false, applied: true });
    expect(applied.data.summary).to.deep.equal({ added: 1, changed: 1, unchanged: 1, invalid: 0 });
    expect(await model("apply/a")).to.include({ input_price: "31", output_price: "61", price_version: 2 });
    expect(await model("apply/b")).to.include({ price_version: 1 });
    expect(await model("apply/c")).to.include({ input_price: "0.5", output_price: "0.75", price_version: 1, status: "active" });
    await waitFor(async () => (await there.pricing.model("apply/c"))?.price?.outputPrice === 750_000n, {
      timeoutMs: 1_000,
      message: "the other copy",
    });
    expect((await there.pricing.model("apply/a"))?.price?.inputPrice).to.equal(31_000_000n);

    const again = await apply(list, revision);
    expect(again.status, "the same once more").to.equal(200);
    expect(again.data).to.include({ applied: false });
    expect(again.data.summary).to.deep.equal({ added: 0, changed: 0, unchanged: 3, invalid: 0 });
    expect(await model("apply/a")).to.include({ price_version: 2 });
    const history = await here.call("GET", "/api/admin/prices/apply/a/history");
    expect(history.body.data.items[0]).to.include({ version: 2, reason: "monthly" });
    const { rows } = await here.pool.query<{ action: string; details: { import: string } }>(
      "SELECT action, details FROM audit_log WHERE target IN ('model:apply/a', 'model:apply/c') AND details ? 'import' ORDER BY id",
    );
    expect(rows.map((row) => [row.action, row.details.import])).to.have.deep.members([
      ["model.update", revision],
      ["model.create", revision],
    ]);
  });

  it("is refused when a price, or the list, is not that of the preview", async () => {
    await put("stale/a");
    const list = [{ name: "stale/a", input_price: "99", output_price: "99" }];
    const { revision } = await preview(list);
    await here.call("PATCH", "/api/admin/models/stale/a", { output_price: "70" });
    const refused = await apply(list, revision);
    expect([refused.status, refused.error?.code]).to.deep.equal([409, "conflict"]);
    expect(await model("stale/a")).to.include({ input_price: "30", output_price: "70", price_version: 2 });
    const fresh = await preview(list);
    expect((await apply([{ name: "stale/a", input_price: "98", output_price: "99" }], fresh.revision)).status, "another list").to.equal(
      409,
    );
    expect((await apply(list, "")).status, "no revision").to.equal(409);
    expect((await apply(list, fresh.revision)).status).to.equal(200);
    expect(await model("stale/a")).to.include({ input_price: "99", price_version: 3 });
  });

  it("with a row that is not valid changes nothing, and says which", async () => {
    await put("bad/a");
    const list = {
      models: [
        { name: "bad/a", input_price: "31" },
        { name: "bad/b", input_price: 1, output_price: "1" },
      ],
    };
    const { revision, summary } = await preview(list);
    expect(summary).to.include({ changed: 1, invalid: 1 });
    const refused = await apply(list, revision);
    expect(refused.status).to.equal(400);
    const details = refused.error?.details as { field: string }[];
    expect(details.map(({ field }) => field)).to.deep.equal(["line 2: input_price"]);
    expect(await model("bad/a")).to.include({ input_price: "30", price_version: 1 });
  });

  it("of two sent at once with one preview, one is applied and the other finds nothing left or is refused", async () => {
    await put("race/a");
    const lists = ["41", "42"].map((price) => [
      { name: "race/a", input_price: price, output_price: "60" },
      { name: `race/${price}`, input_price: "1", output_price: "1" },
    ]);
    const revisions = await Promise.all(lists.map(async (list) => (await preview(list)).revision));
    const statuses = (await Promise.all(lists.map((list, index) => apply(list, revisions[index]!)))).map(({ status }) => status);
    expect([...statuses].sort()).to.deep.equal([200, 409]);
    const winner = statuses.indexOf(200);
    expect(await model("race/a")).to.include({ input_price: ["41", "42"][winner], price_version: 2 });
    expect((await here.call("GET", `/api/admin/models/race%2F${["42", "41"][winner]}`)).status).to.equal(404);
  });

  it("that was exported and is imported changes nothing", async () => {
    await put("round/a", {
      cached_input_price: "0",
      web_search_price: "10",
      aliases: ["round-1", "round-2"],
      display_name: '=SUM("x"),\n2',
      max_output_tokens: 5,
    });
    await put("round/b", { status: "inactive", modality: "image", image_price: "0.000001" });
    await here.call("POST", "/api/admin/models", { name: "round/unpriced" });
    const answer = await fetch(`${here.url}/api/admin/prices/export.csv`, { headers: { "x-as": "operator" } });
    expect(answer.headers.get("content-type")).to.contain("text/csv");
    const csv = await answer.text();
    expect(csv).to.contain("'=SUM");
    const { summary, invalid } = await preview(csv);
    expect(invalid).to.deep.equal([]);
    expect(summary).to.include({ added: 0, changed: 0 });
    expect(summary.unchanged).to.be.at.least(3);
  });

  it("takes a name or alias once, whoever has it", async () => {
    await put("names/a", { aliases: ["names-alias"] });
    const { invalid, summary } = await preview([
      { name: "names/b", aliases: ["names-alias"], input_price: "1", output_price: "1" },
      { name: "names/c", aliases: ["names/d"], input_price: "1", output_price: "1" },
      { name: "names/d", input_price: "1", output_price: "1" },
      { name: "names-alias", input_price: "31" },
      { name: "NAMES/A", input_price: "32" },
    ]);
    expect(summary).to.include({ added: 1, changed: 1 });
    expect(invalid.map(({ line, problems }) => [line, problems[0]!.field])).to.deep.equal([
      [1, "aliases"],
      [3, "name"],
      [5, "name"],
    ]);
  });

  const unreadable: [string, string | object, string][] = [
    ["an unknown column", "name,price\na,1\n", "price"],
    ["no names", "input_price\n1\n", "name"],
    ["a column twice", "name,status,status\na,active,active\n", "status"],
    ["a quote that does not end", 'name\n"a\n', "CSV"],
    ["nothing at all", "", "name"],
    ["a heading alone", "name,status\n", "rows"],
    ["no entries", { models: [] }, "rows"],
    ["a number for a list", { models: 1 }, "models"],
  ];
  for (const [what, body, named] of unreadable) {
    it(`with ${what} is refused as a whole`, async () => {
      const answer = await fetch(`${here.url}/api/admin/prices/import`, {
        method: "POST",
        headers: { "content-type": typeof body === "string" ? "text/csv" : "application/json", "x-as": "operator" },
        body: typeof body === "string" ? body : JSON.stringify(body),
      });
      expect(answer.status).to.equal(400);
      expect(await answer.text()).to.contain(named);
    });
  }

  it("is for operators alone, and neither XML nor a form", async () => {
    expect((await send("name\n", "", "somebody")).status).to.equal(403);
    expect((await fetch(`${here.url}/api/admin/prices/export.csv`, { headers: { "x-as": "somebody" } })).status).to.equal(403);
    const other = await fetch(`${here.url}/api/admin/prices/import`, {
      method: "POST",
      headers: { "content-type": "application/xml", "x-as": "operator" },
      body: "<a/>",
    });
    expect(other.status).to.be.oneOf([400, 415]);
  });
});
