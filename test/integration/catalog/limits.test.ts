import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { OPERATOR_ID, startCopy, type Copy } from "./support.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";

const NOBODY = { full: { checks: [], shape: "", rates: 0, mostTokens: undefined, countsTokens: false } } as const;
const own = { full: NOBODY.full, requests: NOBODY.full };

describe("limits that callers share", () => {
  const places = useStack();
  let copies: Copy[];
  before(async () => {
    copies = [await startCopy({ databaseUrl: places.databaseUrl }), await startCopy({ databaseUrl: places.databaseUrl })];
    for (const name of ["Heavy", "light"]) {
      await copies[0]!.call("POST", "/api/admin/models", { name, aliases: [`${name}-alias`], input_price: "1", output_price: "1" });
    }
  });
  after(async () => {
    for (const copy of copies ?? []) await copy.stop();
  });
  const put = (body: object) => copies[0]!.call("PUT", "/api/admin/limits", body);
  const checksOn = async (copy: Copy, model: string, ip = "1.2.3.4") =>
    (await copy.limits.get()).planFor(own, model, ip).checks.map(({ scope, kind, limit, shadow }) => [scope, kind, limit, shadow]);

  it("are set, found, listed by page and removed, each with a line in the audit log", async () => {
    const made = await put({ scope: "global", limits: { requests_per_minute: 1_000, max_parallel: 50 } });
    expect(made.status, made.body.message).to.equal(200);
    expect(made.body.data).to.deep.include({
      scope: "global",
      model: null,
      mode: "enforce",
      limits: { requests_per_minute: 1_000, max_parallel: 50 },
      token_weight_percent: null,
    });
    const again = await put({ scope: "global", limits: { requests_per_minute: 2_000 } });
    expect(again.body.data).to.deep.include({ id: made.body.data.id, limits: { requests_per_minute: 2_000 } });
    const tried = await put({ scope: "global", mode: "shadow", limits: { requests_per_minute: 10 } });
    expect(tried.body.data.id).not.to.equal(made.body.data.id);

    const list = await copies[1]!.call("GET", "/api/admin/limits?page_size=1&page=2");
    expect([list.body.data.total, list.body.data.items.map((item) => item["mode"])]).to.deep.equal([2, ["shadow"]]);
    expect((await copies[1]!.call("GET", "/api/admin/limits?mode=enforce")).body.data.total).to.equal(1);
    const one = await copies[1]!.call("GET", `/api/admin/limits/${tried.body.data.id}`);
    expect(one.body.data["limits"]).to.deep.equal({ requests_per_minute: 10 });

    for (const id of [made.body.data.id, tried.body.data.id]) {
      expect((await copies[0]!.call("DELETE", `/api/admin/limits/${id}`)).status).to.equal(204);
      expect((await copies[0]!.call("DELETE", `/api/admin/limits/${id}`)).status).to.equal(404);
    }
    const { rows } = await copies[0]!.pool.query<{ actor_id: string; action: string; target: string }>(
      "SELECT actor_id, action, target FROM audit_log WHERE target LIKE 'limit:global%' ORDER BY id",
    );
    expect(rows.map(({ actor_id, action, target }) => [actor_id, action, target])).to.deep.equal([
      [OPERATOR_ID, "limit.put", "limit:global:enforce"],
      [OPERATOR_ID, "limit.put", "limit:global:enforce"],
      [OPERATOR_ID, "limit.put", "limit:global:shadow"],
      [OPERATOR_ID, "limit.delete", "limit:global:enforce"],
      [OPERATOR_ID, "limit.delete", "limit:global:shadow"],
    ]);
  });

  it("are in force on every copy at once, and a model's own go before those of every model", async () => {
    expect(await checksOn(copies[1]!, "Heavy")).to.deep.equal([]);
    await put({ scope: "model", limits: { tokens_per_minute: 100, max_parallel: 9 } });
    await put({ scope: "model", model: "heavy-ALIAS", limits: { tokens_per_minute: 50 }, token_weight_percent: 300 });
    await put({ scope: "ip", mode: "shadow", limits: { requests_per_second: 5 } });
    await waitFor(async () => (await checksOn(copies[1]!, "Heavy")).length === 3, { timeoutMs: 1_000, message: "the announcement" });
    expect(await checksOn(copies[1]!, "Heavy")).to.deep.equal([
      ["ip", "requests_per_second", 5, true],
      ["model", "tokens", 50, false],
      ["model", "parallel", 9, false],
    ]);
    expect((await checksOn(copies[1]!, "light"))[1]).to.deep.equal(["model", "tokens", 100, false]);
    const rules = await copies[1]!.limits.get();
    expect([rules.weightOf("Heavy"), rules.weightOf("light")]).to.deep.equal([300, 100]);
    // The same call finds the same plan.
    expect(rules.planFor(own, "light", "1.2.3.4")).to.equal(rules.planFor(own, "light", "1.2.3.4"));
    const ids = (model: string, ip: string) => rules.planFor(own, model, ip).checks.map(({ id }) => id);
    expect(ids("light", "2001:db8:1:2::1")[0]).to.equal(ids("light", "2001:0db8:1:2:ffff::9")[0]);
    expect(ids("light", "2001:db8:1:3::1")[0]).not.to.equal(ids("light", "2001:db8:1:2::1")[0]);
  });

  for (const [what, body, field] of [
    ["no limit", { scope: "global" }, "limits"],
    ["a limit of nothing", { scope: "global", limits: { max_parallel: 0 } }, "limits.max_parallel"],
    ["an unknown limit", { scope: "global", limits: { per_hour: 1 } }, "limits"],
    ["an unknown scope", { scope: "team", limits: { max_parallel: 1 } }, "scope"],
    ["a model for another scope", { scope: "ip", model: "light", limits: { max_parallel: 1 } }, "model"],
    ["a model that is not there", { scope: "model", model: "unheard-of", limits: { max_parallel: 1 } }, "model"],
    ["a weight in shadow mode", { scope: "model", mode: "shadow", limits: {}, token_weight_percent: 5 }, "token_weight_percent"],
    ["an unknown field", { scope: "global", limits: { max_parallel: 1 }, burst: 2 }, ""],
  ] as const) {
    it(`${what} is refused by the field's name`, async () => {
      const answer = await put(body);
      expect([answer.status, answer.body.error?.code]).to.deep.equal([400, "validation_failed"]);
      expect(JSON.stringify(answer.body.error?.details)).to.include(`"field":"${field}`);
    });
  }

  it("are the operators' business alone", async () => {
    for (const [method, path] of [
      ["GET", "/api/admin/limits"],
      ["PUT", "/api/admin/limits"],
      ["DELETE", `/api/admin/limits/${uuidv7()}`],
    ] as const) {
      const body = method === "PUT" ? { scope: "global", limits: { max_parallel: 1 } } : undefined;
      expect((await copies[0]!.call(method, path, body, "somebody")).status, method).to.equal(403);
    }
  });
});
