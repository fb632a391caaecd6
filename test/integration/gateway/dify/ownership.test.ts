import { expect } from "chai";
import { forgetPassedTasks } from "../../../../src/gateway/dify/owned/index.ts";
import { mintToken } from "../mint.ts";
import type { Customer } from "../harness.ts";
import { COUNTED, useDify } from "./rig.ts";

const NOBODYS = "5f0f7a3c-9d1e-4b57-8c9e-0123456789ab";

interface Things {
  conversation: string;
  message: string;
  task: string;
  run: string;
  file: string;
  form: string;
}

/** Every route that takes an id, wherever it stands. */
const ROUTES: [name: string, method: string, path: (ids: Things) => string, body?: (ids: Things) => object][] = [
  [
    "continue a conversation",
    "POST",
    () => "/chat-messages",
    ({ conversation }) => ({ inputs: {}, query: "?", conversation_id: conversation }),
  ],
  ["answer a message", "POST", () => "/chat-messages", ({ message }) => ({ inputs: {}, query: "?", parent_message_id: message })],
  [
    "send a file",
    "POST",
    () => "/chat-messages",
    ({ file }) => ({ inputs: {}, query: "?", files: [{ type: "image", transfer_method: "local_file", upload_file_id: file }] }),
  ],
  [
    "a file among the inputs",
    "POST",
    () => "/chat-messages",
    ({ file }) => ({ query: "?", inputs: { doc: [{ type: "document", transfer_method: "local_file", upload_file_id: file }] } }),
  ],
  [
    "a tool's file",
    "POST",
    () => "/chat-messages",
    ({ message }) => ({ query: "?", inputs: {}, files: [{ type: "image", transfer_method: "tool_file", tool_file_id: message }] }),
  ],
  ["stop a chat", "POST", ({ task }) => `/chat-messages/${task}/stop`, () => ({})],
  ["stop a completion", "POST", ({ task }) => `/completion-messages/${task}/stop`, () => ({})],
  ["stop a run", "POST", ({ task }) => `/workflows/tasks/${task}/stop`, () => ({})],
  ["conversations after one", "GET", ({ conversation }) => `/conversations?last_id=${conversation}`],
  ["messages", "GET", ({ conversation }) => `/messages?conversation_id=${conversation}`],
  ["rename a conversation", "POST", ({ conversation }) => `/conversations/${conversation}/name`, () => ({ name: "Mine now" })],
  ["variables", "GET", ({ conversation }) => `/conversations/${conversation}/variables`],
  ["set a variable", "PUT", ({ conversation }) => `/conversations/${conversation}/variables/toll`, () => ({ value: "4" })],
  ["rate a message", "POST", ({ message }) => `/messages/${message}/feedbacks`, () => ({ rating: "like" })],
  ["questions after a message", "GET", ({ message }) => `/messages/${message}/suggested`],
  ["speak a message", "POST", () => "/text-to-audio", ({ message }) => ({ message_id: message })],
  ["look at a file", "GET", ({ file }) => `/files/${file}/preview`],
  ["look at a run", "GET", ({ run }) => `/workflows/run/${run}`],
  ["look at a form", "GET", ({ form }) => `/form/human_input/${form}`],
  ["answer a form", "POST", ({ form }) => `/form/human_input/${form}`, () => ({ inputs: {}, action: "approve" })],
  ["listen to a run", "GET", ({ run }) => `/workflow/${run}/events`],
  ["delete a conversation", "DELETE", ({ conversation }) => `/conversations/${conversation}`, () => ({})],
];

describe("what Dify made for one account", () => {
  const rig = useDify();
  let model: string;
  let ada: Customer;
  let bob: Customer;
  let ids: Things;

  async function make(who: Customer | string): Promise<Things> {
    const events = await rig.stream(who, "/chat-messages", { query: `[[app:chatflow]] ${COUNTED} Which way?` });
    const waiting = await rig.stream(who, "/chat-messages", { query: `[[app:chatflow]] [[outcome:paused]] ${COUNTED} Which way?` });
    const asks = waiting.find(({ event }) => event === "human_input_required")!["data"] as { form_token: string };
    const form = new FormData();
    form.append("file", new Blob(["a picture"], { type: "image/png" }), "a.png");
    form.append("user", "whoever");
    const uploaded = await rig.send(who, "/files/upload", form);
    expect(uploaded.status).to.equal(201);
    const end = events.find(({ event }) => event === "message_end")!;
    return {
      conversation: String(end["conversation_id"]),
      message: String(end["message_id"]),
      task: String(end["task_id"]),
      run: String(end["workflow_run_id"]),
      file: ((await uploaded.json()) as { id: string }).id,
      form: asks.form_token,
    };
  }

  before(async () => {
    await rig.dify.tell(COUNTED);
    ({ model } = await rig.app("chat", { prices: { character_price: "0.01" } }));
    ada = await rig.customer(model, { credits: "100000" });
    bob = await rig.customer(model, { credits: "100000" });
    ids = await make(ada);
  });

  const use = (who: Customer | string, [, method, path, body]: (typeof ROUTES)[number], things: Things): Promise<Response> =>
    rig.send(who, path(things), body?.(things), { method });

  for (const route of ROUTES) {
    it(`${route[0]}: the owner may; for others, and for ids of nobody's, there is no such thing, and Dify is not asked`, async () => {
      const nobodys: Things = { conversation: NOBODYS, message: NOBODYS, task: NOBODYS, run: NOBODYS, file: NOBODYS, form: NOBODYS };
      for (const [who, things] of [
        [bob, ids],
        [await mintToken(rig.relay, ada), ids],
        [ada, nobodys],
      ] as const) {
        await rig.dify.reset();
        const answer = await use(who, route, things);
        const body = (await answer.json()) as Record<string, unknown>;
        expect([answer.status, body["code"], body["status"]], JSON.stringify(body)).to.deep.equal([404, "not_found", 404]);
        expect(await rig.dify.calls()).to.deep.equal([]);
      }
      // Tools' files are looked at by Dify for no user at all, so they are nobody's.
      if (route[0] === "a tool's file") return;
      const own = route[0] === "listen to a run" ? undefined : await use(ada, route, ids);
      if (own) expect(own.status, await own.text()).to.be.within(200, 204);
    });
  }

  it("is found by its own end user alone, and again with that end user's next token", async () => {
    const made = await make(await mintToken(rig.relay, ada, "visitor-1"));
    const look = async (who: Customer | string): Promise<number> =>
      (await rig.send(who, `/messages?conversation_id=${made.conversation}`)).status;
    expect(await look(await mintToken(rig.relay, ada, "visitor-1"))).to.equal(200);
    for (const other of [
      ada,
      await mintToken(rig.relay, ada, "visitor-2"),
      await mintToken(rig.relay, bob, "visitor-1"),
      await mintToken(rig.relay, ada),
    ]) {
      expect(await look(other)).to.equal(404);
    }
  });

  it("lists are the account's own, whatever user the caller names", async () => {
    const mine = await make(bob);
    const list = async (who: Customer): Promise<string[]> =>
      ((await (await rig.send(who, "/conversations?user=whoever&limit=50")).json()) as { data: { id: string }[] }).data.map(({ id }) => id);
    expect(await list(bob)).to.include(mine.conversation);
    expect(await list(ada)).to.not.include(mine.conversation);
    const users = (await rig.dify.calls()).map(({ body }) => (body as { user?: string } | undefined)?.user).filter(Boolean);
    expect(new Set(users)).to.deep.equal(new Set([`tk_${bob.userId}`]));
  });

  it("belongs to its app: under another app's name it is not there", async () => {
    const other = await rig.app("chat");
    const eve = await rig.relay.customer({ models: [model, other.model] });
    const answer = await rig.send(
      eve,
      "/chat-messages",
      { inputs: {}, query: "?", model },
      { headers: { "content-type": "application/json" } },
    );
    const { conversation_id: conversation } = (await answer.json()) as Record<string, string>;
    const ask = (named?: string): Promise<Response> =>
      rig.send(
        eve,
        "/chat-messages",
        { inputs: {}, query: "?", conversation_id: conversation },
        { headers: named ? { "x-dify-app": named } : {} },
      );
    expect((await ask(other.model)).status).to.equal(404);
    // A conversation says by itself which app it is of.
    expect((await ask()).status).to.equal(200);
  });

  it("is known for 400 days after it was last used, tasks and runs for a month, and then to nobody", async () => {
    const { pool } = rig.relay;
    const made = await make(bob);
    const look = async (): Promise<number> => (await rig.send(bob, `/messages?conversation_id=${made.conversation}`)).status;
    const lives = async () =>
      (
        await pool.query<{ kind: string; days: number }>(
          "SELECT kind, extract(day FROM expires_at - date_trunc('day', created_at, 'UTC'))::integer AS days FROM dify_ids WHERE id = ANY ($1) ORDER BY kind",
          [Object.values(made)],
        )
      ).rows.map(({ kind, days }) => [kind, days]);
    expect(await lives()).to.deep.equal([
      ["conversation", 400],
      ["file", 400],
      ["form", 31],
      ["message", 400],
      ["run", 31],
      ["task", 31],
    ]);
    await forgetPassedTasks(pool);
    expect(await look()).to.equal(200);
    await pool.query("UPDATE dify_ids SET expires_at = expires_at - interval '401 days' WHERE id = $1", [made.conversation]);
    await forgetPassedTasks(pool);
    expect(await look()).to.equal(404);
  });

  it("what is long over is forgotten faster than a busy relay writes it", async () => {
    const { pool } = rig.relay;
    await pool.query(
      `INSERT INTO dify_ids (owner, id, kind, provider_id, model, created_at, expires_at)
       SELECT 'user:past', 'past-' || n, 'task', $1, 'app', now() - interval '40 days', now() - interval '1 day' FROM generate_series(1, 60000) AS n`,
      ["0190b7a0-0000-7000-8000-000000000000"],
    );
    expect(await forgetPassedTasks(pool)).to.equal(60_000);
  });

  it("a deleted conversation is gone", async () => {
    const made = await make(bob);
    const gone = await rig.send(bob, `/conversations/${made.conversation}`, undefined, { method: "DELETE" });
    expect([gone.status, await gone.text()]).to.deep.equal([204, ""]);
    expect((await rig.send(bob, `/messages?conversation_id=${made.conversation}`)).status).to.equal(404);
  });
});
