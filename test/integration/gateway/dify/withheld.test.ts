import { expect } from "chai";
import { rawCall } from "../../../support/rawCall.ts";
import { waitFor } from "../../../support/waitFor.ts";
import { SECRET, startService, type Service } from "../guardrailService.ts";
import type { Customer } from "../harness.ts";
import { useDify, type DifyEvent } from "./rig.ts";

type Item = Record<string, string>;

describe("what an app of Dify's said and the guardrail did not let pass", () => {
  const env: Record<string, string> = { GUARDRAIL_SECRET: SECRET, GUARDRAIL_ANSWERS: "true" };
  let service: Service;
  before(async () => {
    service = await startService();
    env["GUARDRAIL_URL"] = service.url;
  });
  const rig = useDify(env);
  let ada: Customer;

  beforeEach(() => void (service.severe = false));
  after(() => service?.close());

  const app = async (kind: "chat" | "workflow" | "chatflow") => {
    const { model } = await rig.app(kind, { prices: { character_price: "1" } });
    ada = await rig.customer(model, { credits: "1000" });
  };
  const ask = (more: object = {}) => rig.send(ada, "/chat-messages", { inputs: {}, query: "Which way?", ...more });
  const json = async (path: string): Promise<{ status: number; data: Item[] }> => {
    const answer = await rig.send(ada, path);
    return { status: answer.status, data: ((await answer.json()) as { data: Item[] }).data };
  };
  /** What is known of this customer's things. */
  const known = async (kind: string): Promise<string[]> => {
    const { rows } = await rig.relay.pool.query<{ id: string }>("SELECT id FROM dify_ids WHERE owner = $1 AND kind = $2", [
      `tk_${ada.userId}`,
      kind,
    ]);
    return rows.map(({ id }) => id);
  };

  for (const response_mode of ["blocking", "streaming"]) {
    it(`${response_mode}: is not in the list of messages, and neither spoken nor asked on about; what passed is`, async () => {
      await app("chat");
      const good = (await (await ask()).json()) as Item;
      service.severe = true;
      const refused = await ask({ conversation_id: good["conversation_id"], response_mode });
      expect([refused.status, ((await refused.json()) as Item)["code"]]).to.deep.equal([400, "content_refused"]);
      service.severe = false;
      const listed = await json(`/messages?conversation_id=${good["conversation_id"]}`);
      expect(listed.data.map(({ id, answer }) => [id, answer])).to.deep.equal([[good["message_id"], good["answer"]]]);
      const bad = (await known("message")).find((id) => id !== good["message_id"]);
      expect((await rig.send(ada, `/messages/${bad}/suggested`)).status).to.equal(404);
      expect((await rig.send(ada, "/text-to-audio", { message_id: bad })).status).to.equal(404);
      expect((await rig.send(ada, `/messages/${good["message_id"]}/suggested`)).status).to.equal(200);
      expect((await rig.bill(ada)).status).to.equal("ok");
    });
  }

  it("gives a new conversation no name", async () => {
    await app("chat");
    service.severe = true;
    expect((await ask()).status).to.equal(400);
    service.severe = false;
    const good = (await (await ask()).json()) as Item;
    const { data } = await json("/conversations");
    expect(data.map(({ id, name }) => [id === good["conversation_id"], name === ""])).to.deep.equal([
      [true, false],
      [false, true],
    ]);
  });

  it("is no name of a conversation, either, until it has another", async () => {
    await app("chat");
    const { conversation_id: id } = (await (await ask()).json()) as Item;
    const name = (body: object) => rig.send(ada, `/conversations/${id}/name`, { user: "x", ...body });
    const shown = async () => (await json("/conversations")).data[0]!["name"];
    service.severe = true;
    expect((await name({ auto_generate: true })).status).to.equal(400);
    expect(await shown()).to.equal("");
    service.severe = false;
    expect((await name({ name: "Mine" })).status).to.equal(200);
    expect(await shown()).to.equal("Mine");
  });

  it("is no run to look at", async () => {
    await app("workflow");
    const run = () => rig.send(ada, "/workflows/run", { inputs: { query: "Which way?" } });
    const { workflow_run_id: good } = (await (await run()).json()) as Item;
    service.severe = true;
    expect((await run()).status).to.equal(400);
    const bad = (await known("run")).find((id) => id !== good);
    expect((await rig.send(ada, `/workflows/run/${bad}`)).status).to.equal(404);
    expect((await rig.send(ada, `/workflows/run/${good}`)).status).to.equal(200);
  });

  it("is paid for and not shown when its client left before it was checked", async () => {
    await app("chat");
    await rig.dify.tell("[[usage:1500,800]] [[chunks:30]] [[pace:20ms]]");
    const leaving = new AbortController();
    const call = rawCall(`${rig.relay.url}/dify/v1/chat-messages`, {
      headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
      body: JSON.stringify({ inputs: {}, query: "Which way?", response_mode: "streaming" }),
      signal: leaving.signal,
    });
    await waitFor(async () => (await known("message")).length === 1, { timeoutMs: 5_000, message: "the message" });
    leaving.abort();
    await call;
    expect(await rig.bill(ada)).to.include({ charged: 93_000_000n, status: "client_gone" });
    const [conversation] = await known("conversation");
    expect((await json(`/messages?conversation_id=${conversation}`)).data).to.deep.equal([]);
  });

  it("of a run that went on after a person's word is paid for and not shown", async () => {
    await app("chatflow");
    await rig.dify.tell("[[usage:300,200]] [[chunks:2]]");
    const events = await rig.stream(ada, "/chat-messages", { query: "[[outcome:paused]] Which way?" });
    const form = String((events.find(({ event }: DifyEvent) => event === "human_input_required")!["data"] as Item)["form_token"]);
    const conversation = String(events[0]!["conversation_id"]);
    expect((await json(`/messages?conversation_id=${conversation}`)).data).to.have.length(1);
    await rig.dify.tell("[[usage:1500,800]] [[chunks:2]]");
    service.severe = true;
    expect((await rig.send(ada, `/form/human_input/${form}`, { inputs: {}, action: "approve" })).status).to.equal(200);
    await waitFor(async () => (await rig.bill(ada)).charged === 93_000_000n, { timeoutMs: 5_000, message: "the charge" });
    expect((await json(`/messages?conversation_id=${conversation}`)).data).to.deep.equal([]);
  });
});
