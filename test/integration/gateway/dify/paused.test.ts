import { expect } from "chai";
import { rawCall } from "../../../support/rawCall.ts";
import { waitFor } from "../../../support/waitFor.ts";
import type { Customer } from "../harness.ts";
import { eventsOf, useDify, type AppKind, type DifyEvent } from "./rig.ts";

/** 500 and 2300 tokens of a run, half of them priced as input. */
const FIRST = 22_500_000n;
const ALL = 103_500_000n;
const ROUTES: Partial<Record<AppKind, string>> = { workflow: "/workflows/run", chatflow: "/chat-messages" };

describe("a run of Dify's that waits for a person", () => {
  const rig = useDify();

  /** Begins a run that pauses when it has used 500 tokens, and makes Dify count 2300 from then on. */
  async function begin(kind: AppKind, usage = "300,200", ada?: Customer) {
    const { model } = await rig.app(kind);
    const who = ada ?? (await rig.customer(model));
    await rig.dify.tell(`[[usage:${usage}]] [[chunks:2]]`);
    const words = "[[outcome:paused]] Which way?";
    const events = await rig.stream(who, ROUTES[kind]!, kind === "workflow" ? { inputs: { query: words } } : { query: words });
    expect(events.at(-1)!.event).to.equal("workflow_paused");
    await rig.dify.tell("[[usage:1500,800]] [[chunks:2]]");
    return { ada: who, model, run: String(events.at(-1)!["workflow_run_id"]), form: formOf(events) };
  }
  const formOf = (events: DifyEvent[]): string =>
    String((events.find(({ event }) => event === "human_input_required")!["data"] as Record<string, unknown>)["form_token"]);
  const answer = (who: Customer, form: string) => rig.send(who, `/form/human_input/${form}`, { inputs: { ok: true }, action: "approve" });
  const charged = (who: Customer, amount: bigint) =>
    waitFor(async () => (await rig.bill(who)).charged === amount, { timeoutMs: 5_000, message: `${amount} charged` });

  it("is charged what is known when it pauses, and the rest when it has finished, also if nobody opens its events", async () => {
    const { ada, form } = await begin("workflow");
    expect(await rig.bill(ada)).to.include({ charged: FIRST, status: "ok" });
    const answered = await answer(ada, form);
    expect([answered.status, await answered.json()]).to.deep.equal([200, {}]);
    await charged(ada, ALL);
  });

  it("is charged once however many listen to its events", async () => {
    const { ada, run, form } = await begin("workflow");
    await answer(ada, form);
    const listen = async () => (await rig.send(ada, `/workflow/${run}/events`)).text();
    for (const text of await Promise.all([listen(), listen()])) expect(text).to.match(/"event":"workflow_finished"/);
    expect(await listen()).to.match(/"event":"workflow_finished"/);
    await charged(ada, ALL);
  });

  it("a chatflow goes on as its message", async () => {
    const { ada, form } = await begin("chatflow");
    expect((await rig.bill(ada)).charged).to.equal(FIRST);
    await answer(ada, form);
    // A message says in the end how many tokens there were of each kind.
    await charged(ada, 93_000_000n);
  });

  it("that has used nothing before it paused is charged in full for what comes after", async () => {
    const { ada, form } = await begin("workflow", "0,0");
    expect((await rig.bill(ada)).charged).to.equal(0n);
    await answer(ada, form);
    await charged(ada, ALL);
  });

  it("that pauses again and again is charged for each part once", async () => {
    const { ada, form, run } = await begin("workflow");
    await rig.dify.tell("[[usage:300,200]] [[chunks:2]] [[outcome:paused]]");
    // Nothing is used between these two pauses.
    await answer(ada, form);
    await waitFor(async () => (await rig.dify.calls()).some(({ path }) => path.includes(`/workflow/${run}/events`)), {
      timeoutMs: 5_000,
      message: "the events",
    });
    await charged(ada, FIRST);
    await rig.dify.tell("[[usage:1500,800]] [[chunks:2]] [[outcome:succeeded]]");
    await answer(ada, form);
    await charged(ada, ALL);
  });

  it("does not go on at a wallet's or key's expense that does not cover it, and Dify is not told the answer", async () => {
    const { model } = await rig.app("workflow");
    const ada = await rig.customer(model, { keyLimits: { quota_requests: 1 } });
    const { form } = await begin("workflow", "300,200", ada);
    await rig.bill(ada);
    await rig.dify.reset();
    const refused = await answer(ada, form);
    expect([refused.status, ((await refused.json()) as { code: string }).code]).to.deep.equal([429, "quota_exceeded"]);
    expect(await rig.dify.calls()).to.deep.equal([]);
  });

  it("is held for until it has finished, when its client has long been answered", async () => {
    const { ada, form } = await begin("workflow");
    await rig.bill(ada);
    await rig.dify.tell("[[usage:1500,800]] [[chunks:20]] [[pace:20ms]]");
    await answer(ada, form);
    expect(BigInt((await rig.relay.balance(ada)).held) > 0n).to.equal(true);
    await charged(ada, ALL);
  });

  it("is asked for its events again when they break off", async () => {
    const { ada, form, run } = await begin("workflow");
    await rig.dify.tell("[[fault:die_mid_stream]]");
    await answer(ada, form);
    await waitFor(async () => (await rig.dify.calls()).filter(({ path }) => path.includes(`/workflow/${run}/events`)).length === 2, {
      timeoutMs: 5_000,
      message: "the second try",
    });
    await rig.dify.tell("[[usage:1500,800]] [[chunks:2]]");
    await charged(ada, ALL);
  });

  /** Opens a run's events, and leaves when the first of them came. */
  const glance = (who: Customer, run: string) =>
    rawCall(`${rig.relay.url}/dify/v1/workflow/${run}/events`, {
      method: "GET",
      headers: { authorization: `Bearer ${who.key}` },
      leave: (text) => text.includes("data:"),
    });
  const records = async (who: Customer): Promise<number> => {
    const { rows } = await rig.relay.pool.query("SELECT FROM usage_events WHERE wallet_id = $1", [who.walletId]);
    return rows.length;
  };
  const stops = async () => (await rig.dify.calls()).filter(({ path }) => path.endsWith("/stop"));

  for (const [kind, all] of [
    ["workflow", ALL],
    ["chatflow", 93_000_000n],
  ] as const) {
    it(`${kind}: costs what it costs, and goes on, when somebody who watches it leaves early`, async () => {
      const { ada, run, form } = await begin(kind);
      await charged(ada, FIRST);
      await rig.dify.tell("[[usage:1500,800]] [[chunks:20]] [[pace:20ms]]");
      await answer(ada, form);
      await glance(ada, run);
      await glance(ada, run);
      await charged(ada, all);
      expect([await records(ada), await stops()]).to.deep.equal([2, []]);
    });

    it(`${kind}: that a person answered at Dify is read on to its end and charged when who watches it leaves early`, async () => {
      const { ada, run } = await begin(kind);
      await charged(ada, FIRST);
      await rig.dify.tell("[[usage:1500,800]] [[chunks:20]] [[pace:20ms]]");
      await glance(ada, run);
      await charged(ada, all);
      expect([await records(ada), await stops()]).to.deep.equal([2, []]);
    });
  }

  it("is watched by who has one place among the calls at once and a wallet for this one call", async () => {
    const { model } = await rig.app("workflow");
    const ada = await rig.customer(model, { userLimits: { max_parallel: 1, requests_per_minute: 1_000 }, credits: "250" });
    const { form, run } = await begin("workflow", "300,200", ada);
    await rig.bill(ada);
    await rig.dify.tell("[[usage:1500,800]] [[chunks:20]] [[pace:20ms]]");
    expect((await answer(ada, form)).status).to.equal(200);
    const watched = await rig.send(ada, `/workflow/${run}/events`);
    expect([watched.status, eventsOf(await watched.text()).at(-1)!.event]).to.deep.equal([200, "workflow_finished"]);
    await waitFor(async () => (await rig.bill(ada)).charged === 750_000_000n + ALL, { timeoutMs: 5_000, message: "the charge" });
    // Nobody follows it any more: who watches it again would pay, and finds that it is paid.
    expect((await rig.send(ada, `/workflow/${run}/events`)).status).to.equal(200);
    expect((await rig.bill(ada)).charged).to.equal(750_000_000n + ALL);
  });

  it("is nobody else's to watch", async () => {
    const { ada, model, run, form } = await begin("workflow");
    await rig.dify.tell("[[usage:1500,800]] [[chunks:10]] [[pace:20ms]]");
    await answer(ada, form);
    expect((await rig.send(await rig.customer(model), `/workflow/${run}/events`)).status).to.equal(404);
    await charged(ada, ALL);
  });
});
