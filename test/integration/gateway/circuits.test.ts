import { expect } from "chai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";
import { startProxy } from "./proxy.ts";
import { answerOf, DONE, FULL, hang, type RawUpstream, REST, ROLE, startRawUpstream, STOP, streamOf, text } from "./rawUpstream.ts";

const ENV = { CIRCUIT_BREAKER: "true", CIRCUIT_MIN_CALLS: "5", CIRCUIT_COOL_DOWN: "800ms", RELAY_MAX_ATTEMPTS: "1" };
const good = streamOf(ROLE, text(REST), STOP, FULL, DONE);
const broken = answerOf(503, "down");

describe("the circuit of a provider", () => {
  const places = useStack();
  let left: Relay;
  let right: Relay;
  let first: RawUpstream;
  let second: RawUpstream;
  let ada: Customer;
  let model: string;
  let firstId: string;

  before(async () => {
    [first, second] = await Promise.all([startRawUpstream(), startRawUpstream()]);
    [left, right] = await Promise.all([startRelay(places, ENV), startRelay(places, ENV)]);
    ada = await left.customer({ credits: "1000000" });
  });
  beforeEach(async () => {
    first.behave(good);
    second.behave(good);
    model = await left.model([first.url, second.url]);
    firstId = await idOf(left, model, first.url);
    await waitFor(async () => (await call(right)).status === 200, { timeoutMs: 3_000, message: "the model on the other copy" });
    first.behave(good);
    second.behave(good);
  });
  after(async () => {
    await Promise.all([left?.close(), right?.close()]);
    await Promise.all([first?.close(), second?.close()]);
  });

  async function idOf(relay: Relay, name: string, baseUrl: string): Promise<string> {
    const { rows } = await relay.pool.query<{ id: string }>(
      "SELECT p.id FROM providers p JOIN provider_models m ON m.provider_id = p.id WHERE m.model_name = $1 AND p.base_url = $2",
      [name, baseUrl],
    );
    return rows[0]!.id;
  }

  async function call(relay: Relay, asked = model, who = ada): Promise<{ status: number; text: string; headers: Headers }> {
    const response = await fetch(`${relay.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${who.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: asked, messages: [{ role: "user", content: "Hi" }], max_tokens: 50, stream: true }),
    });
    const said = await response.text();
    return { status: response.status, text: said, headers: response.headers };
  }

  const stateOn = (relay: Relay) =>
    relay.gateway.routing.health(firstId).circuits.find(({ model: name }) => name === "upstream-model")?.state;
  const state = (relay: Relay, wanted: string) =>
    waitFor(() => stateOn(relay) === wanted, { timeoutMs: 5_000, everyMs: 5, message: () => `${wanted}, it is ${stateOn(relay)}` });

  async function breakIt(relay = left): Promise<void> {
    first.behave(broken);
    for (let i = 0; i < 5; i++) expect((await call(relay)).status).to.equal(200);
    await state(relay, "open");
  }

  it("opens after failures, on every copy: nobody asks the provider until its time is over", async () => {
    await breakIt();
    await state(right, "open");
    const asked = first.requests.length;
    for (const relay of [left, right, left, right]) expect((await call(relay)).text).to.contain(REST.slice(0, 5));
    expect(first.requests.length).to.equal(asked);
  });

  it("is not opened for others by what one account alone meets", async () => {
    const bob = await left.customer({ credits: "1000000" });
    first.behave(answerOf(200, "<html>", "content-type: text/html"));
    for (let i = 0; i < 20; i++) expect((await call(left)).status).to.equal(200);
    expect(stateOn(left)).to.equal("closed");
    expect(first.requests).to.have.length(20);
    first.behave(good);
    expect((await call(left, model, bob)).status).to.equal(200);
    expect(first.requests, "the first provider is still asked").to.have.length(1);
    first.behave(broken);
    for (let i = 0; i < 20; i++) await call(left);
    expect(stateOn(left), "while another is answered").to.equal("closed");
  });

  it("opens by answers that cannot be read when several accounts meet them", async () => {
    const others = await Promise.all([left.customer({ credits: "1000000" }), left.customer({ credits: "1000000" })]);
    first.behave(answerOf(200, "<html>", "content-type: text/html"));
    for (let i = 0; i < 6; i++) await call(left, model, [ada, ...others][i % 3]);
    await state(left, "open");
  });

  it("is not kept from its trial by a call that cannot be written", async () => {
    await breakIt();
    await state(left, "half_open");
    first.behave(good);
    const deep = `{"model":"${model}","messages":[{"role":"user","content":"Hi"}],"x":${"[".repeat(20_000)}${"]".repeat(20_000)}}`;
    const asked = first.requests.length;
    const unwritable = (): Promise<Response> =>
      fetch(`${left.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${ada.key}`, "content-type": "application/json" },
        body: deep,
      });
    for (let i = 0; i < 20; i++) expect((await unwritable()).status).to.equal(400);
    await waitFor(async () => (await call(left)).status === 200 && first.requests.length > asked, {
      timeoutMs: 3_000,
      message: "the trial of a call that can be written",
    });
    await state(left, "closed");
  });

  it("is tried by one call at a time across the copies, and closes everywhere when that one has content", async () => {
    await breakIt();
    await state(right, "open");
    let answer = (): void => undefined;
    const released = new Promise<void>((resolve) => (answer = resolve));
    first.behave(async (socket, request) => {
      await released;
      await good(socket, request);
    });
    await state(left, "half_open");
    await state(right, "half_open");
    const trials: Promise<unknown>[] = [];
    await waitFor(
      () => {
        trials.push(call(left), call(right));
        return first.requests.length > 0;
      },
      { timeoutMs: 3_000, message: "the trial" },
    );
    for (let i = 0; i < 10; i++) for (const relay of [left, right]) expect((await call(relay)).status).to.equal(200);
    expect(first.requests.length).to.equal(1);
    answer();
    await Promise.all(trials);
    await state(left, "closed");
    await state(right, "closed");
    const asked = first.requests.length;
    await Promise.all([call(left), call(right)]);
    expect(first.requests.length).to.equal(asked + 2);
  });

  it("stays open for longer when the trial fails", async () => {
    await breakIt();
    const { circuits } = left.gateway.routing.health(firstId);
    expect(circuits.find(({ model: name }) => name !== null)!.retryInMs).to.be.at.most(960);
    await state(left, "half_open");
    const asked = first.requests.length;
    await waitFor(async () => (await call(left)).status === 200 && first.requests.length > asked, {
      timeoutMs: 3_000,
      message: "the trial",
    });
    await state(left, "open");
    const again = left.gateway.routing.health(firstId).circuits.find(({ model: name }) => name !== null)!;
    expect(again.retryInMs).to.be.within(1_000, 1_920);
  });

  it("is known to a copy that starts later", async () => {
    await breakIt();
    const late = await startRelay(places, ENV);
    try {
      // Its time may be over by then.
      await waitFor(() => ["open", "half_open"].includes(stateOn(late) ?? ""), { timeoutMs: 5_000, message: "what the others know" });
    } finally {
      await late.close();
    }
  });

  it("can be reset by an operator, on every copy", async () => {
    await breakIt();
    await state(right, "open");
    right.gateway.routing.reset(firstId);
    await waitFor(() => left.gateway.routing.health(firstId).state === "closed", { timeoutMs: 3_000, message: "closed" });
    first.behave(good);
    await Promise.all([call(left), call(right)]);
    expect(first.requests.length).to.equal(2);
  });

  it("while it is open no call asks the provider, or waits for it", async () => {
    const patient = await startRelay(places, { ...ENV, CIRCUIT_COOL_DOWN: "60s" });
    try {
      await waitFor(async () => (await call(patient)).status === 200, { timeoutMs: 3_000, message: "the model on this copy" });
      await breakIt(patient);
      // Whoever asked it now would wait until its time is out.
      first.behave(hang);
      for (let i = 0; i < 40; i++) {
        const { status, headers } = await call(patient);
        expect([status, headers.get("x-tollkeeper-attempts")]).to.deep.equal([200, "1"]);
      }
      expect(first.requests).to.have.length(0);
    } finally {
      await patient.close();
    }
  });

  it("of the only provider refuses calls at once, and says when to come again", async () => {
    const alone = await left.model([first.url]);
    first.behave(broken);
    for (let i = 0; i < 5; i++) expect((await call(left, alone)).status).to.equal(502);
    const asked = first.requests.length;
    const refused = await call(left, alone);
    expect([refused.status, refused.headers.get("retry-after")]).to.deep.equal([503, "1"]);
    expect(refused.text).to.contain("no_provider");
    expect(first.requests.length).to.equal(asked);
    first.behave(good);
    await waitFor(async () => (await call(left, alone)).status === 200, { timeoutMs: 5_000, message: "the provider to be used again" });
    await left.settle();
    await waitFor(async () => (await left.balance(ada)).held === "0", { timeoutMs: 3_000, message: "nothing held" });
  });

  it("concerns the whole provider when it cannot be reached, else only the model that fails there", async () => {
    await breakIt();
    expect(left.gateway.routing.health(firstId).state).to.equal("degraded");
    const gone = await startRawUpstream();
    await gone.close();
    const unreachable = await left.model([gone.url, second.url]);
    for (let i = 0; i < 5; i++) expect((await call(left, unreachable)).status).to.equal(200);
    const id = await idOf(left, unreachable, gone.url);
    expect(left.gateway.routing.health(id).state).to.equal("open");
    await waitFor(() => right.gateway.routing.health(id).state === "open", { timeoutMs: 3_000, message: "the other copy" });
  });

  it("works in each copy alone while Redis is gone, and is shared again when it is back", async () => {
    const proxy = await startProxy(places.redisUrl);
    const cut = await startRelay({ ...places, redisUrl: proxy.url }, ENV);
    try {
      await waitFor(() => cut.redis.status === "ready", { timeoutMs: 3_000, message: "redis" });
      await waitFor(async () => (await call(cut)).status === 200, { timeoutMs: 3_000, message: "the model" });
      proxy.cut();
      await waitFor(() => cut.redis.status !== "ready", { timeoutMs: 3_000, message: "the cut" });
      await breakIt(cut);
      expect(stateOn(left)).to.not.equal("open");
      first.behave(good);
      await waitFor(async () => (await call(cut)) && stateOn(cut) === "closed", { timeoutMs: 5_000, message: "closed without Redis" });
      await breakIt(cut);
      proxy.mend();
      const opens = () => cut.gateway.routing.health(firstId).circuits.some(({ state: now }) => now !== "closed");
      expect(opens()).to.equal(true);
      await waitFor(() => left.gateway.routing.health(firstId).circuits.some(({ state: now }) => now !== "closed"), {
        timeoutMs: 8_000,
        message: "the others to hear of it",
      });
    } finally {
      await cut.close();
      await proxy.close();
    }
  });
});
