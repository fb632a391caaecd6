import { once } from "node:events";
import http from "node:http";
import { parse } from "csv-parse/sync";
import { expect } from "chai";
import { createExports } from "../../../src/http/exports.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startUsageApi, type Owner, type UsageApi } from "./api.ts";

type Row = Record<string, string>;

const LARGE = process.env["TEST_SCALE"] === "full" ? 1_000_000 : 60_000;

describe("exports", function () {
  this.timeout(process.env["TEST_SCALE"] === "full" ? 600_000 : 90_000);
  const places = useStack();
  const exports = createExports({ perUser: 2, total: 4 });
  let api: UsageApi;
  let ada: Owner;
  let heavy: Owner;

  before(async () => {
    api = await startUsageApi({ databaseUrl: places.databaseUrl, exports });
    ada = await api.rig.wallet(10_000);
    heavy = await api.rig.wallet(1);
    // Free calls, as the relay would have noted them, written at once.
    await api.rig.pool.query(
      `SELECT usage_record_free(jsonb_agg(jsonb_build_object('id', gen_random_uuid(), 'created_at', timestamptz '2026-05-01' + n / 100 * interval '1 s',
         'request_id', 'r-' || n, 'shard', 0, 'user_id', $1::uuid, 'wallet_id', $2::text, 'model', 'm', 'route', '/v1/chat/completions', 'stream', false,
         'input_tokens', n, 'cached_input_tokens', 0, 'cache_write_tokens', 0, 'output_tokens', 0, 'reasoning_tokens', 0, 'estimated', false,
         'status', 'failed', 'http_status', 502, 'retry_count', 0, 'duration_ms', 1)))
       FROM generate_series(1, $3) AS n GROUP BY n / 20000`,
      [heavy.userId, heavy.walletId.toString(), LARGE],
    );
  });
  after(() => api.close());

  const rowsOf = (body: string) => parse(body, { columns: true, bom: true, relax_column_count: false }) as Row[];
  const csv = async (path: string, owner = ada, role?: "operator") => {
    const answer = await api.text(path, owner, role);
    expect(answer.status, answer.body).to.equal(200);
    expect(answer.type).to.equal("text/csv; charset=utf-8");
    return answer.body;
  };

  it("have a heading, one line a call, oldest first, and exact amounts", async () => {
    const ids = await api.settle([
      [ada, { startedAt: new Date("2026-05-02T00:00:00Z"), requestId: "first" }],
      [ada, { startedAt: new Date("2026-05-01T00:00:00Z"), requestId: "before" }],
    ]);
    const rows = rowsOf(await csv("/api/user/usage/export.csv?model=test-model"));
    expect(rows.map(({ request_id: id }) => id)).to.deep.equal(["before", "first"]);
    expect(rows[1]).to.include({
      id: ids[0],
      created_at: "2026-05-02T00:00:00.000Z",
      model: "test-model",
      input_tokens: "1500",
      output_tokens: "800",
      cost: "93",
      status: "ok",
    });
    expect(rows[0]).not.to.have.any.keys("user_id", "uncharged", "upstream_cost", "attempts");
    expect(rowsOf(await csv("/api/user/usage/export.csv?from=2026-05-02T00:00:00Z"))).to.have.length(1);
    expect(await csv("/api/user/usage/export.csv?model=none"), "nothing but the heading").to.match(/^id,[^\r\n]+\r\n$/);
    const all = rowsOf(await csv(`/api/admin/usage/export.csv?user=${ada.userId}`, heavy, "operator"));
    expect(all[0]).to.include({ user_id: ada.userId, cost: "93", uncharged: "0" });
    expect((await api.text("/api/admin/usage/export.csv", ada)).status).to.equal(403);
  });

  it("guard what a spreadsheet would take for a formula, and begin with a mark when asked to", async () => {
    const eve = await api.rig.wallet(10_000);
    const nasty = ['=HYPERLINK("http://x","y")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", 'quote " and, comma\nand line', "plain"];
    await api.settle(nasty.map((model, n) => [eve, { model, startedAt: new Date(Date.UTC(2026, 4, 3, n)) }] as const) as never);
    const body = await csv("/api/user/usage/export.csv?bom=true", eve);
    expect(body.charCodeAt(0)).to.equal(0xfeff);
    expect(rowsOf(body).map(({ model }) => model)).to.deep.equal([...nasty.slice(0, 5).map((text) => `'${text}`), ...nasty.slice(5)]);
    const history = rowsOf(await csv("/api/user/transactions/export.csv?type=CONSUMPTION", eve));
    expect(history.map(({ amount }) => amount)).to.deep.equal(nasty.map(() => "-93"));
    expect(history[0]!["description"]).to.match(/^'=HYPERLINK/);
    expect(history.at(-1)).to.include({
      type: "CONSUMPTION",
      balance_after: "9349",
      model: "plain",
      input_tokens: "1500",
      output_tokens: "800",
    });
  });

  it("of the history take the filters of the list", async () => {
    const bob = await api.rig.wallet(1_000);
    const key = uuidv7();
    await api.settle([
      [bob, { model: "one", keyId: key }],
      [bob, { model: "two" }],
    ]);
    const types = async (query: string) =>
      rowsOf(await csv(`/api/user/points/history/export.csv?${query}`, bob)).map(({ type, model }) => `${type} ${model}`);
    expect(await types("")).to.deep.equal(["ADMIN ", "CONSUMPTION one", "CONSUMPTION two"]);
    expect(await types("type=ADMIN,BONUS")).to.deep.equal(["ADMIN "]);
    expect(await types("model=TWO")).to.deep.equal(["CONSUMPTION two"]);
    expect(await types(`key=${key}`)).to.deep.equal(["CONSUMPTION one"]);
    expect(await types(`key=${key}&type=BONUS`)).to.deep.equal([]);
  });

  it(`of ${LARGE} calls have each once, and take no more memory for being long`, async () => {
    const answer = await fetch(`${api.url}/api/user/usage/export.csv`, { headers: api.headers(heavy) });
    let lines = 0;
    let numbers = 0;
    let rest = "";
    let most = 0;
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    const decoder = new TextDecoder();
    for await (const chunk of answer.body!) {
      const parts = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split("\r\n");
      rest = parts.pop()!;
      for (const line of parts) {
        lines += 1;
        if (lines > 1) numbers += Number(/^[^,]+,r-(\d+),/.exec(line)![1]);
      }
      most = Math.max(most, process.memoryUsage().rss - before);
    }
    expect(lines).to.equal(LARGE + 1);
    expect(numbers).to.equal((LARGE * (LARGE + 1)) / 2);
    expect(most / 1e6, "MB more").to.be.below(250);
  });

  /** An export whose reader takes the head and then nothing. */
  async function stalled(owner: Owner) {
    const request = http.get(`${api.url}/api/user/usage/export.csv`, { headers: api.headers(owner) });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    response.pause();
    return { status: response.statusCode, leave: () => request.destroy() };
  }

  it("wait for their reader, are bounded for each person, and end when he leaves", async () => {
    const first = await stalled(heavy);
    const second = await stalled(heavy);
    expect([first.status, second.status]).to.deep.equal([200, 200]);
    const third = await api.get("/api/user/usage/export.csv", heavy);
    expect(third.status).to.equal(429);
    expect(third.error?.code).to.equal("rate_limited");
    expect((await api.text("/api/user/usage/export.csv", ada)).status, "others are not kept waiting").to.equal(200);
    first.leave();
    const again = await waitFor(async () => {
      const next = await stalled(heavy);
      if (next.status === 200) return next;
      next.leave();
      return undefined;
    });
    again.leave();
    second.leave();
    await waitFor(async () => {
      const { rows } = await api.rig.pool.query(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%usage_events%' AND pid <> pg_backend_pid()",
      );
      return rows.length === 0;
    });
    await waitFor(async () => (await api.text("/api/user/usage/export.csv?model=none", heavy)).status === 200);
  });
});
