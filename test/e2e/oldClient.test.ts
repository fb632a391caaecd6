import { expect } from "chai";
import { connect } from "../integration/live/client.ts";
import { customer, operator, unique, type Person } from "../support/people.ts";
import { product, type Product, waitFor } from "../support/stack.ts";

interface Answer {
  status: number;
  // Every route answers something else here.
  body: Record<string, unknown> & { detail?: string };
}
type Json = Record<string, unknown>;

const PASSWORD = "correct horse battery staple 9";

describe("the old desktop client, at /api/v1", function () {
  this.timeout(60_000);
  let where: Product;
  let admin: Person;
  let ada: Person;

  before(async () => {
    where = await product();
    admin = await operator(where);
    ada = await customer(where, admin, { credits: "20" });
  });

  async function ask(method: string, path: string, { body, token = ada.token }: { body?: unknown; token?: string } = {}): Promise<Answer> {
    const response = await fetch(`${where.api}/api/v1/${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: (text === "" ? {} : JSON.parse(text)) as Answer["body"] };
  }
  async function upload(kind: string | undefined, name: string, type: string, bytes: Buffer): Promise<string> {
    const opened = await ask("POST", "files/upload-url", {
      body: { name, size: bytes.length, content_type: type, ...(kind ? { kind } : {}) },
    });
    expect(opened.status, JSON.stringify(opened.body)).to.equal(201);
    const {
      upload_url: url,
      headers,
      file_id: id,
    } = opened.body as { upload_url: string; headers: Record<string, string>; file_id: string };
    expect((await fetch(url, { method: "PUT", body: bytes, headers })).status).to.equal(200);
    return id;
  }

  it("has all of its 26 routes in the document, marked as aliases", async () => {
    const { paths } = (await (await fetch(`${where.api}/openapi.json`)).json()) as { paths: Record<string, Record<string, Json>> };
    const old = Object.entries(paths).flatMap(([path, operations]) =>
      path.startsWith("/api/v1/") ? Object.entries(operations).map(([method, it]) => ({ name: `${method} ${path.slice(8)}`, it })) : [],
    );
    const rest = [
      "post auth/register",
      "post auth/login",
      "post auth/refresh",
      "post auth/logout",
      "get users/me",
      "put users/me",
      "patch users/me",
      "get users/me/balance",
      "post users/me/recharge",
      "get users/me/transactions",
      "get users/me/bills",
      "post tasks",
      "get tasks",
      "get tasks/{id}",
      "post tasks/{id}/pause",
      "post tasks/{id}/resume",
      "post tasks/{id}/cancel",
      "delete tasks/{id}",
      "get tasks/{id}/logs",
      "post files/upload-url",
      "get files/{id}/download-url",
      "get files/{id}",
      "get files/{id}/exists",
      "delete files/{id}",
      "get ws",
      "get ws/stats",
      "post ws/notify",
    ];
    expect(old.map(({ name }) => name)).to.include.members(rest);
    for (const { name, it } of old) expect(it["x-alias"], name).to.equal(true);
    const refusals = old.find(({ name }) => name === "post tasks")!.it["responses"] as Json;
    expect(Object.keys(refusals)).to.include("422").and.not.include("400");
  });

  it("signs up, in, renews and signs out", async () => {
    const username = unique("old").replace("-", "_");
    const email = `${username}@example.com`;
    const phone = `+8613${String(Math.floor(Math.random() * 1e9)).padStart(9, "0")}`;
    const made = await ask("POST", "auth/register", { body: { username, email, phone, password: PASSWORD, device: "x" }, token: "" });
    expect([made.status, made.body["username"], made.body["phone"]]).to.deep.equal([201, username, phone]);
    const again = await ask("POST", "auth/register", { body: { username, email: `x${email}`, password: PASSWORD }, token: "" });
    expect([again.status, again.body.detail]).to.deep.equal([409, "username: is taken"]);
    const weak = await ask("POST", "auth/register", { body: { username, email: "nowhere", phone: "12", password: "1" }, token: "" });
    expect([weak.status, typeof weak.body.detail]).to.deep.equal([422, "string"]);

    const wrong = await ask("POST", "auth/login", { body: { username, password: "not this one" }, token: "" });
    expect([wrong.status, typeof wrong.body.detail]).to.deep.equal([401, "string"]);
    for (const name of [username, email]) {
      const signed = await ask("POST", "auth/login", { body: { username: name, password: PASSWORD }, token: "" });
      expect(signed.status).to.equal(200);
      expect(signed.body).to.include({ token_type: "Bearer" }).and.to.include.keys("access_token", "refresh_token", "expires_in");
    }
    const signed = (await ask("POST", "auth/login", { body: { username, password: PASSWORD }, token: "" })).body as Record<string, string>;
    const renewed = await ask("POST", "auth/refresh", { body: { refresh_token: signed["refresh_token"] }, token: "" });
    const { access_token: token, refresh_token: refresh } = renewed.body as Record<string, string>;
    expect((await ask("GET", "users/me", { token: token! })).body).to.include({ username, email });
    const out = await ask("POST", "auth/logout", { body: { refresh_token: refresh }, token: "" });
    expect([out.status, out.body]).to.deep.equal([200, { ended: 1 }]);
    const dead = await ask("GET", "users/me", { token: token! });
    expect([dead.status, typeof dead.body.detail]).to.deep.equal([401, "string"]);
    expect((await ask("POST", "auth/refresh", { body: { refresh_token: refresh }, token: "" })).status).to.equal(401);
    expect((await ask("POST", "auth/logout", { body: { refresh_token: refresh }, token: "" })).body).to.deep.equal({ ended: 0 });
    expect((await ask("POST", "auth/logout", { body: {}, token: "" })).status).to.equal(401);
  });

  it("reads and changes the profile, with an avatar", async () => {
    const bytes = Buffer.from("89504e470d0a1a0a0000000d4948445200000001000000010806000000", "hex");
    const scene = await upload(undefined, "a.blend", "application/x-blender", Buffer.from("BLENDER-v304"));
    expect((await ask("PUT", "users/me", { body: { avatar_file_id: scene } })).status).to.equal(404);
    const picture = await upload("avatar", "me.png", "image/png", bytes);
    expect((await ask("GET", `files/${picture}`)).body).to.include({ id: picture, status: "ready" });
    const changed = await ask("PUT", "users/me", { body: { display_name: "Ada", avatar_file_id: picture } });
    expect(changed.body).to.include({ display_name: "Ada", avatar_file_id: picture });
    expect(Buffer.from(await (await fetch(changed.body["avatar_url"] as string)).arrayBuffer())).to.deep.equal(bytes);
    expect((await ask("PATCH", "users/me", { body: { locale: "zh-CN" } })).body).to.include({ locale: "zh-CN", avatar_file_id: picture });
    expect(await ada.get<Json>("/api/user/me/avatar")).to.include({ file_id: picture });
    expect((await ask("DELETE", `files/${picture}`)).status).to.equal(204);
    expect((await ask("GET", "users/me")).body).to.include({ display_name: "Ada", avatar_file_id: null, avatar_url: null });
    expect((await ask("PUT", "users/me", { body: {} })).status).to.equal(422);
  });

  it("uploads, asks after and downloads a file without ever finishing the upload itself", async () => {
    const bytes = Buffer.from("BLENDER-v304 a kettle");
    const opened = await ask("POST", "files/upload-url", {
      body: { name: "k.blend", size: bytes.length, content_type: "application/x-blender" },
    });
    const {
      upload_url: url,
      headers,
      file_id: id,
    } = opened.body as { upload_url: string; headers: Record<string, string>; file_id: string };
    expect((await ask("GET", `files/${id}/exists`)).body).to.deep.equal({ exists: false, status: "uploading" });
    const head = await fetch(`${where.api}/api/v1/files/${id}/exists`, {
      method: "HEAD",
      headers: { authorization: `Bearer ${ada.token}` },
    });
    expect(head.status).to.equal(404);
    expect((await ask("GET", `files/${id}/download-url`)).status).to.equal(409);
    await fetch(url, { method: "PUT", body: bytes, headers });
    expect((await ask("GET", `files/${id}/exists`)).body).to.deep.equal({ exists: true, status: "ready" });
    const download = await ask("GET", `files/${id}/download-url`);
    expect(Buffer.from(await (await fetch(download.body["url"] as string)).arrayBuffer())).to.deep.equal(bytes);
    const grace = await customer(where, admin);
    for (const path of [`files/${id}`, `files/${id}/exists`, `files/${id}/download-url`]) {
      const other = await ask("GET", path, { token: grace.token });
      expect([other.status, typeof other.body.detail], path).to.deep.equal([404, "string"]);
    }
  });

  it("opens an order for a recharge, and credits nothing by itself", async () => {
    const before = (await ask("GET", "users/me/balance")).body;
    expect(before["balance"]).to.equal(before["available"]);
    const order = await ask("POST", "users/me/recharge", { body: { amount: 50, method: "epay" } });
    expect([order.status, order.body["amount"], order.body["status"]]).to.deep.equal([201, "50.00", "pending"]);
    expect(typeof order.body["pay_url"]).to.equal("string");
    expect((await ask("GET", "users/me/balance")).body).to.deep.equal(before);
    for (const amount of [-1, "1.234", 1e21, "all"]) {
      expect((await ask("POST", "users/me/recharge", { body: { amount, method: "epay" } })).status, String(amount)).to.equal(422);
    }
  });

  it("renders: created, listed by number and word, followed to its end, in the transactions and bills, deleted", async () => {
    const body = { name: "Kettle", engine: "simulate", frame_start: 1, frame_end: 3, width: 64, height: 36, colour: "unknown here" };
    const made = await ask("POST", "tasks", { body });
    expect([made.status, made.body["total_frames"]]).to.deep.equal([201, 3]);
    const id = made.body["id"] as string;
    const done = await waitFor(
      async () => {
        const { body: seen } = await ask("GET", `tasks/${id}`);
        return seen["status"] === "completed" && seen;
      },
      { timeoutMs: 40_000, message: "the task to be completed" },
    );
    expect(done).to.include({ progress: 100, total_frames: 3, status_number: 5 });
    for (const status of ["5", "completed"]) {
      const { items, total } = (await ask("GET", `tasks?status=${status}`)).body as { items: Json[]; total: number };
      expect([items.map((item) => item["id"]), total]).to.deep.equal([[id], 1]);
    }
    expect(((await ask("GET", `tasks/${id}/logs`)).body as { total: number }).total).to.be.greaterThan(0);
    for (const action of ["pause", "resume", "cancel"]) {
      const refused = await ask("POST", `tasks/${id}/${action}`, { body: {} });
      expect([refused.status, typeof refused.body.detail], action).to.deep.equal([409, "string"]);
    }
    const transactions = (await ask("GET", "users/me/transactions")).body as { items: Json[] };
    expect(transactions.items.filter((item) => item["type"] === "CONSUMPTION").length).to.be.greaterThan(0);
    expect((await ask("GET", "users/me/bills")).body).to.include.keys("items", "total", "page", "page_size");
    const removed = await ask("DELETE", `tasks/${id}`);
    expect([removed.status, typeof removed.body["message"]]).to.deep.equal([200, "string"]);
    expect((await ask("GET", `tasks/${id}`)).status).to.equal(404);
    const dear = await ask("POST", "tasks", { body: { ...body, frame_end: 900, settings: { seconds_per_frame: 60 } } });
    expect([dear.status, typeof dear.body.detail]).to.deep.equal([402, "string"]);
  });

  it("watches over a WebSocket with its token, is told what operators tell, and sees how many connections there are", async () => {
    const open = (path: string) => connect(`${where.api}${path}?token=${ada.token}`);
    const clients = await Promise.all(["/ws", "/api/v1/ws"].map(open));
    const told = await ask("POST", "ws/notify", {
      body: { user_id: ada.id, message: "Tonight", sound: "unknown here" },
      token: admin.token,
    });
    expect([told.status, told.body["message"]]).to.deep.equal([201, "Tonight"]);
    await waitFor(() => clients.every(({ events }) => events.some(({ type, data }) => type === "notice" && data["message"] === "Tonight")));
    for (const client of clients) client.say("ping");
    await waitFor(() => clients.every(({ messages }) => messages.some(({ type }) => type === "pong")));
    expect((await ask("GET", "ws/stats")).body)
      .to.include({ connections: 2 })
      .and.not.have.property("all");
    await waitFor(
      async () => ((await ask("GET", "ws/stats", { token: admin.token })).body["all"] as { connections: number }).connections >= 2,
      { timeoutMs: 10_000 },
    );
    const bare = await fetch(`${where.api}/ws/stats`, { headers: { authorization: `Bearer ${ada.token}` } });
    expect(await bare.json()).to.include({ connections: 2 });
    expect((await ask("POST", "ws/notify", { body: { message: "x" } })).status).to.equal(403);
    expect((await ask("GET", "ws")).status).to.equal(426);
    for (const client of clients) client.break();
  });

  it("is told about paths that are not there in its own words", async () => {
    const nothing = await ask("GET", "nothing");
    expect([nothing.status, nothing.body.detail]).to.deep.equal([404, "There is no such route"]);
    expect((await ask("POST", "users/me/balance", { body: {} })).status).to.equal(405);
    const stranger = await ask("GET", "users/me", { token: "" });
    expect([stranger.status, typeof stranger.body.detail]).to.deep.equal([401, "string"]);
  });
});
