import { expect } from "chai";
import type { Endpoints } from "../../src/main/launcher/endpoints.ts";
import { messageEnd, signed } from "../support/dify.ts";
import { proveLedger, settledBalance, unique, type Person } from "../support/people.ts";
import { freshNamespace, waitFor, type Stack } from "../support/stack.ts";
import { startCopies, startCountingUpstream, type Copies, type CountingUpstream } from "./copies.ts";

const COST = 93;
const CREDITS = 1_000_000;
/** Postgres ends what stands still after 10 s; the rest is what the others need on a busy machine. */
const OTHERS_GO_ON_MS = 16_000;

/** Whoever waits for nobody is answered by then, on a busy machine. */
const AT_ONCE_MS = 2_500;

const messageOf = (person: Person, model: string): string => JSON.stringify(messageEnd({ user_id: person.id, model_name: model }));

/** Sends a message until it is taken, as Dify's side does. */
async function deliver(stack: Stack, raw: string): Promise<string> {
  const { api, webhook } = stack.endpoints as Required<Endpoints>;
  return waitFor(
    async () => {
      const headers = signed(raw, { key: webhook.api_key, secret: webhook.secret });
      const answer = await fetch(`${api}/api/dify/webhook`, { method: "POST", headers, body: raw });
      const text = await answer.text();
      if (answer.status === 503) return undefined;
      return answer.status === 200 ? text : expect.fail(`${answer.status} ${text}`);
    },
    { timeoutMs: 60_000, message: "a message that is taken" },
  ) as Promise<string>;
}

describe("a copy that is frozen while it charges", function () {
  this.timeout(180_000);
  let copies: Copies;
  let upstream: CountingUpstream;
  let model: string;
  let chat: string;
  before(async () => {
    [copies, upstream] = await Promise.all([
      freshNamespace().then((namespace) => startCopies({ TEMPORAL_NAMESPACE: namespace }, ["worker"])),
      startCountingUpstream(),
    ]);
    model = unique("gpt");
    await copies.admin.post("/api/admin/models", { name: model, input_price: "30", output_price: "60" });
    chat = await copies.model(upstream.url);
  });
  after(async () => {
    await copies?.destroy();
    await upstream?.close();
  });

  async function sessions(condition: string): Promise<number> {
    // A transaction sees them as they were when it first looked.
    await copies.db.query("SELECT pg_stat_clear_snapshot()");
    const { rows } = await copies.db.query<{ n: number }>(
      `SELECT count(*)::integer AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND ${condition}`,
    );
    return rows[0]!.n;
  }

  async function call(person: { key: string }): Promise<number> {
    const answer = await fetch(`${copies.urls[1]}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${person.key}` },
      body: JSON.stringify({ model: chat, max_tokens: 10, messages: [{ role: "user", content: "go" }] }),
    });
    await answer.arrayBuffer();
    return answer.status;
  }

  /** Asks Postgres, for the people's own requests go to the frozen copy. */
  const settled = ({ id }: Person) =>
    waitFor(
      async () => (await copies.db.query("SELECT FROM usage_events WHERE user_id = $1 AND settled_at IS NOT NULL", [id])).rowCount === 1,
      {
        timeoutMs: 60_000,
        message: "a call that is settled",
      },
    );

  /** Where a process stops: what is locked until it has come there, and the statement that waits for it. */
  const CHARGING = { lock: "SELECT FROM ledger_accounts WHERE code = 'revenue:usage' FOR UPDATE", statement: "ledger_settle" };
  const ABOUT_TO_CHARGE = { lock: "LOCK TABLE dify_events IN SHARE MODE", statement: "dify_store" };

  /** Stops a process in the very middle of its work: others see its transaction stand still from then on. */
  async function freeze(stack: Stack, part: "api" | "worker", work: () => unknown, { lock, statement } = CHARGING): Promise<() => void> {
    await copies.db.query("BEGIN");
    await copies.db.query(lock);
    work();
    const charging = `application_name = 'tollkeeper-${part}' AND wait_event_type = 'Lock' AND query LIKE '%${statement}%'`;
    await waitFor(async () => (await sessions(charging)) > 0, { timeoutMs: 20_000, message: "a copy that charges" });
    const pid = stack.part(part).pid!;
    process.kill(pid, "SIGSTOP");
    await copies.db.query("COMMIT");
    await waitFor(async () => (await sessions("state = 'idle in transaction'")) > 0, { timeoutMs: 5_000, message: "a frozen transaction" });
    return () => process.kill(pid, "SIGCONT");
  }

  async function inTime<T>(work: Promise<T>, most = OTHERS_GO_ON_MS): Promise<T> {
    const begun = performance.now();
    const result = await work;
    expect(performance.now() - begun).to.be.below(most);
    return result;
  }

  it("an api: holds up no other copy, nor the settlement, for longer than its transaction may stand still; then all is charged once", async () => {
    const [frozen, other] = copies.stacks as [Stack, Stack];
    const [ada, ben, eve] = await Promise.all([copies.customer(), copies.customer(), copies.customer()]);
    await deliver(other, messageOf(ben, model));
    const messages = Array.from({ length: 40 }, () => messageOf(ada, model));
    let sent: Promise<string>[] = [];
    const thaw = await freeze(frozen, "api", () => (sent = messages.map((raw) => deliver(frozen, raw))));
    try {
      await inTime(
        Promise.all([
          deliver(other, messageOf(ben, model)),
          call(eve)
            .then((status) => expect(status).to.equal(200))
            .then(() => settled(eve)),
        ]),
      );
    } finally {
      thaw();
    }
    for (const answer of await Promise.all(sent)) expect(answer).to.contain(`"pointsDeducted":${COST},`);
    expect((await settledBalance(ada)).total).to.equal(String(CREDITS - sent.length * COST));
    expect((await settledBalance(ben)).total).to.equal(String(CREDITS - 2 * COST));
    await proveLedger(copies.admin);
  });

  it("an api: what is sent again to another copy, and calls of those whose wallets it keeps, hold up nobody else's", async () => {
    const [frozen, other] = copies.stacks as [Stack, Stack];
    const [ada, ben, eve] = await Promise.all([copies.customer(), copies.customer(), copies.customer()]);
    const messages = Array.from({ length: 40 }, () => messageOf(ada, model));
    expect(await call(eve)).to.equal(200);
    let sent: Promise<string>[] = [];
    const work = () => (sent = messages.map((raw) => deliver(frozen, raw)));
    const thaw = await freeze(frozen, "api", work, ABOUT_TO_CHARGE);
    const hers: Promise<number>[] = [];
    try {
      sent.push(...messages.map((raw) => deliver(other, raw)));
      for (let n = 0; n < 10; n++) {
        hers.push(call(ada));
        expect(await inTime(call(eve), AT_ONCE_MS)).to.equal(200);
        await inTime(deliver(other, messageOf(ben, model)), AT_ONCE_MS);
      }
      expect(await sessions("state = 'idle in transaction'")).to.be.above(0);
      for (const status of await Promise.all(hers)) expect(status).to.be.oneOf([200, 503]);
      await inTime(Promise.all(sent.slice(messages.length)));
    } finally {
      thaw();
    }
    for (const answer of await Promise.all(sent)) expect(answer).to.contain(`"pointsDeducted":${COST},`);
    const { rows } = await copies.db.query<{ cost: string }>(
      "SELECT sum(cost)::text AS cost FROM usage_events WHERE user_id = $1 AND route = '/api/dify/webhook'",
      [ada.id],
    );
    expect(rows[0]!.cost).to.equal(String(messages.length * COST * 1_000_000));
    await proveLedger(copies.admin);
  });

  it("a worker: holds up no api for longer than that, and settles what it had begun when it goes on", async () => {
    const [frozen, other] = copies.stacks as [Stack, Stack];
    const [ben, eve] = await Promise.all([copies.customer(), copies.customer()]);
    const thaw = await freeze(frozen, "worker", () => call(eve));
    try {
      await inTime(deliver(other, messageOf(ben, model)));
    } finally {
      thaw();
    }
    await settled(eve);
    expect((await settledBalance(ben)).total).to.equal(String(CREDITS - COST));
    await proveLedger(copies.admin);
  });
});
