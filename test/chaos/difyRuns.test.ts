import { expect } from "chai";
import pg from "pg";
import { operator, proveLedger, unique, type Balance, type Person } from "../support/people.ts";
import { startStack, waitFor, type Product, type Stack } from "../support/stack.ts";
import { directUpstream, type Directed } from "../support/upstream.ts";
import { customer } from "./support.ts";

describe("a run of Dify's that goes on while the api is killed", function () {
  this.timeout(300_000);
  let stack: Stack;
  let at: Product;
  let admin: Person;
  let dify: Directed;
  let pool: pg.Pool;

  before(async () => {
    stack = await startStack({ env: { HOLD_TTL: "4s" } });
    at = stack.endpoints as unknown as Product;
    admin = await operator(at);
    dify = directUpstream(at.dify);
    pool = new pg.Pool({ connectionString: at.database_url });
  });
  after(async () => {
    await pool?.end();
    await stack.destroy();
  });

  it("is charged once, by the hold of the lost call, and nothing stays held", async () => {
    const app = unique("run");
    await admin.post("/api/admin/models", { name: app, input_price: "30", output_price: "60", max_output_tokens: 4_000 });
    const made = await admin.post<{ id: string }>("/api/admin/providers", {
      name: app,
      api_format: "dify",
      base_url: `${at.dify}/v1`,
      api_key: "app-workflow-killed",
    });
    await admin.post(`/api/admin/providers/${made.id}/models`, { model_name: app });
    const ada = await customer(at, admin, { credits: "1000" });
    const send = (path: string, body: object) =>
      fetch(`${at.api}/dify/v1${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json", "x-dify-app": app },
        body: JSON.stringify(body),
      });

    await dify.tell("[[usage:300,200]] [[chunks:2]]");
    const text = await (await send("/workflows/run", { inputs: { query: "[[outcome:paused]] Go?" }, response_mode: "streaming" })).text();
    const form = /"form_token":"([^"]+)"/.exec(text)![1]!;
    await dify.tell("[[usage:1500,800]] [[chunks:4000]] [[pace:50ms]]");
    expect((await send(`/form/human_input/${form}`, { inputs: {}, action: "approve" })).status).to.equal(200);
    await waitFor(async () => (await dify.calls()).some(({ path }) => path.includes("/events")), {
      timeoutMs: 10_000,
      message: "its events",
    });
    await stack.part("api").kill("SIGKILL");
    await dify.tell("[[usage:1500,800]] [[chunks:2]]");
    await pool.query("UPDATE dify_runs SET next_at = now()");
    await stack.part("api").start();

    await waitFor(
      async () => {
        await pool.query("UPDATE dify_runs SET next_at = now()");
        const { total, held } = await ada.get<Balance>("/api/user/balance");
        return total === "896.5" && held === "0";
      },
      { timeoutMs: 120_000, message: "the charge" },
    );
    const { rows } = await pool.query("SELECT cost::text, route FROM usage_events WHERE user_id = $1 AND cost > 0 ORDER BY created_at", [
      ada.id,
    ]);
    expect(rows).to.deep.equal([
      { cost: "22500000", route: "/dify/v1/workflows/run" },
      { cost: "81000000", route: "/dify/v1/workflow/:id/events" },
    ]);
    const swept = await pool.query("SELECT FROM ledger_incidents WHERE kind IN ('hold_swept', 'hold_missing')");
    expect(swept.rows).to.have.length(0);
    await proveLedger(admin);
  });
});
