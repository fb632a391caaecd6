import { readdir } from "node:fs/promises";
import path from "node:path";
import { expect } from "chai";
import type { ActivityEvent } from "../../src/activity/index.ts";
import { readDay } from "../../src/activity/lines/read.ts";
import { startCopies, startCountingUpstream, type Copies, type CountingUpstream } from "../chaos/copies.ts";
import { request, type Person } from "../support/people.ts";
import { waitFor } from "../support/waitFor.ts";

interface Item {
  id: string;
  at: string;
  kind: string;
  request_id: string | null;
  ip: string | null;
  times: number;
  details: Record<string, unknown>;
}
interface Page {
  items: Item[];
  total: number;
  page: number;
  page_size: number;
}

const ADDRESS = "203.0.113.7";
const from = { "x-forwarded-for": ADDRESS };

describe("the activity of a user", () => {
  let copies: Copies;
  let upstream: CountingUpstream;
  let ada: Person & { key: string };
  let model: string;
  let keyId: string;

  before(async function () {
    this.timeout(120_000);
    copies = await startCopies();
    upstream = await startCountingUpstream();
    model = await copies.model(upstream.url);
    ada = await copies.customer();
  });
  after(() => Promise.all([copies?.destroy(), upstream?.close()]));

  const signIn = (password: string, id: string) =>
    request(copies.urls[0]!, "POST", "/api/auth/login", { body: { email: ada.email, password }, headers: { ...from, "x-request-id": id } });

  const call = (url: string, name: string, id: string) =>
    fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${ada.key}`, "x-request-id": id, ...from },
      body: JSON.stringify({ model: name, max_tokens: 10, messages: [{ role: "user", content: "Hello" }] }),
    });

  async function activity(query = "", url = copies.urls[1]!): Promise<Page> {
    const answer = await request<Page>(url, "GET", `/api/admin/users/${ada.id}/activity?page_size=100${query}`, {
      token: copies.admin.token,
    });
    expect(answer.status, JSON.stringify(answer.body)).to.equal(200);
    return answer.body.data;
  }

  it("shows on every copy what happened on any: failed sign-ins, keys, calls, refusals, what operators did", async () => {
    expect((await signIn("not the password", "wrong-1")).status).to.equal(401);
    const made = await ada.post<{ id: string }>("/api/user/keys", { name: "second" });
    keyId = made.id;
    await ada.call("DELETE", `/api/user/keys/${keyId}`);
    expect((await call(copies.urls[0]!, model, "good-1")).status).to.equal(200);
    expect((await call(copies.urls[1]!, "no-such-model", "unknown-1")).status).to.equal(404);
    await copies.admin.patch(`/api/admin/users/${ada.id}`, { status: "suspended" });
    expect((await call(copies.urls[1]!, model, "suspended-1")).status).to.equal(403);
    await copies.admin.patch(`/api/admin/users/${ada.id}`, { status: "active" });

    const { items } = await waitFor(async () => {
      const page = await activity();
      return page.items.some(({ request_id }) => request_id === "suspended-1") &&
        page.items.filter(({ kind }) => kind === "operator.acted").length >= 5
        ? page
        : undefined;
    });
    const times = items.map(({ at }) => at);
    expect(times).to.deep.equal([...times].sort().reverse());
    const byRequest = new Map(items.map((item) => [item.request_id, item]));
    expect(byRequest.get("wrong-1")).to.deep.include({ kind: "sign_in", ip: ADDRESS, times: 1 });
    expect(byRequest.get("wrong-1")!.details).to.deep.equal({ result: "failure", method: "password", reason: "wrong_credentials" });
    expect(byRequest.get("good-1")!.details).to.deep.include({ outcome: "ok", model, http_status: 200, input_tokens: 4, output_tokens: 4 });
    expect(byRequest.get("unknown-1")).to.include({ kind: "call.refused" });
    expect(byRequest.get("unknown-1")!.details).to.deep.include({ by: "request", error_code: "model_not_found", http_status: 404 });
    expect(byRequest.get("suspended-1")!.details).to.deep.include({ by: "access", error_code: "account_suspended" });
    const keys = items.filter(({ details }) => details["key_id"] === keyId).map(({ kind }) => kind);
    expect(keys).to.deep.equal(["key.revoked", "key.created"]);
    expect(items.find(({ kind }) => kind === "operator.acted")!.details).to.deep.include({
      actor_id: copies.admin.id,
      action: "user.update",
      target: `user:${ada.id}`,
      details: { status: "active" },
    });
    expect(items.some(({ kind }) => kind === "user.registered")).to.equal(true);
  });

  it("is narrowed by kind, failure and time, and comes in pages", async () => {
    const failed = await activity("&failed=true");
    expect(new Set(failed.items.map(({ kind }) => kind))).to.deep.equal(new Set(["sign_in", "call.refused"]));
    const calls = await activity("&kind=call.ended");
    expect(calls.items.map(({ request_id }) => request_id)).to.deep.equal(["good-1"]);
    const all = await activity();
    const page = await request<Page>(copies.urls[0]!, "GET", `/api/admin/users/${ada.id}/activity?page_size=3&page=2`, {
      token: copies.admin.token,
    });
    expect(page.body.data).to.deep.equal({ items: all.items.slice(3, 6), total: all.total, page: 2, page_size: 3 });
    const third = all.items[2]!.at;
    expect((await activity(`&to=${third}`)).items).to.deep.equal(all.items.filter(({ at }) => at < third));
    expect((await activity(`&from=${third}`)).items).to.deep.equal(all.items.filter(({ at }) => at >= third));
    for (const query of ["kind=nothing", "page=1000&page_size=100", "surprise=1"]) {
      const answer = await request(copies.urls[0]!, "GET", `/api/admin/users/${ada.id}/activity?${query}`, { token: copies.admin.token });
      expect(answer.status, query).to.equal(400);
    }
  });

  it("is for operators, and of one's own account as far as it concerns its safety", async () => {
    expect((await ada.call("GET", `/api/admin/users/${ada.id}/activity`)).status).to.equal(403);
    const own = await ada.get<Page>("/api/user/activity?page_size=100");
    expect(own.items.some(({ request_id }) => request_id === "wrong-1")).to.equal(true);
    expect(own.items.some(({ kind }) => kind.startsWith("call."))).to.equal(false);
    const acted = own.items.filter(({ kind }) => kind === "operator.acted");
    expect(acted.length).to.be.greaterThan(3);
    for (const { ip, details } of acted) expect([ip, Object.keys(details)]).to.deep.equal([null, ["action"]]);
  });

  it("is one row for what is tried again and again, with how often", async () => {
    for (let i = 0; i < 3; i++) await Promise.all(Array.from({ length: 30 }, () => call(copies.urls[0]!, "again-and-again", "again")));
    const { items } = await waitFor(async () => {
      const page = await activity("&kind=call.refused");
      const again = page.items.filter(({ request_id }) => request_id === "again");
      return again.reduce((sum, { times }) => sum + times, 0) === 90 ? { items: again } : undefined;
    });
    expect(items.length).to.be.lessThan(30);
  });

  it("is in the log of the copies as JSON lines when they have stopped, with the same ids", async () => {
    await signIn("wrong at the last moment", "last-1");
    const shown = await waitFor(async () => {
      const { items } = await activity();
      return items.some(({ request_id }) => request_id === "last-1") ? items : undefined;
    });
    await signIn("wrong right before the stop", "last-2");
    await Promise.all(copies.stacks.map((stack) => stack.part("api").stop()));
    const written: ActivityEvent[] = [];
    for (const { dataDir } of copies.stacks) {
      const dir = path.join(dataDir, "activity");
      const days = new Set((await readdir(path.join(dir, ada.id)).catch(() => [])).map((name) => name.slice(0, 10)));
      for (const day of days) written.push(...(await readDay(dir, ada.id, day)));
    }
    const ids = new Set(written.map(({ id }) => id));
    expect(shown.filter(({ id }) => !ids.has(id))).to.deep.equal([]);
    expect(written.find(({ request_id }) => request_id === "last-2")).to.include({ kind: "sign_in", v: 1, ip: ADDRESS });
    const good = written.find(({ request_id }) => request_id === "good-1");
    expect(good).to.deep.include({ kind: "call.ended", outcome: "ok", cost: "0.008", cached: false, attempts: 1 });
    expect(JSON.stringify(written)).not.to.include(ada.key).and.not.to.include("Hello").and.not.to.include("not the password");
  });
});
