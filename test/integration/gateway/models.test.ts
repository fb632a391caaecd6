import Anthropic from "@anthropic-ai/sdk";
import { expect } from "chai";
import OpenAI from "openai";
import { useStack, waitFor } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";

const WITH_SLASHES = "anthropic/claude-3.7-sonnet:thinking";

describe("the models a key may call", () => {
  const places = useStack();
  let relay: Relay;
  let ada: Customer;
  /** Oldest first. */
  const names = ["one", "two", "three", WITH_SLASHES];

  before(async () => {
    relay = await startRelay(places);
    for (const [i, name] of names.entries()) {
      await relay.pool.query(
        "INSERT INTO models (name, display_name, aliases, max_output_tokens, context_length, created_at) VALUES ($1, $2, $3, 1000, 200000, $4)",
        [name, i === 0 ? "The first" : null, i === 0 ? ["first-alias"] : [], new Date(Date.UTC(2026, 0, i + 1))],
      );
      await relay.pool.query("INSERT INTO price_versions (model, version, input_price, output_price) VALUES ($1, 1, 1, 1)", [name]);
    }
    await relay.pool.query("INSERT INTO models (name) VALUES ('without-price')");
    await relay.pool.query("SELECT pg_notify('tollkeeper_changed', 'model:*')");
    ada = await relay.customer();
    await waitFor(async () => (await listed()).length === names.length, { timeoutMs: 5_000, message: "the models" });
  });
  after(() => relay?.close());

  const openai = (key = ada.key): OpenAI => new OpenAI({ apiKey: key, baseURL: `${relay.url}/v1`, maxRetries: 0 });
  const anthropic = (key = ada.key): Anthropic => new Anthropic({ apiKey: key, baseURL: relay.url, maxRetries: 0 });
  const listed = async (): Promise<string[]> => (await openai().models.list()).data.map(({ id }) => id);
  const caught = (asking: PromiseLike<unknown>) => Promise.resolve(asking).catch((error: unknown) => error);

  it("are listed for OpenAI's client, without those that have no price", async () => {
    expect(await listed()).to.have.members(names);
    const first = (await openai().models.list()).data.find(({ id }) => id === "one");
    expect(first).to.deep.equal({ id: "one", object: "model", created: Date.UTC(2026, 0, 1) / 1_000, owned_by: "tollkeeper" });
  });

  it("are listed for Anthropic's client, the newest first, page by page", async () => {
    const newest = names.toReversed();
    const ids: string[] = [];
    for await (const { id } of anthropic().models.list({ limit: 3 })) ids.push(id);
    expect(ids).to.deep.equal(newest);
    const page = await anthropic().models.list({ limit: 2, after_id: newest[0]! });
    expect(page).to.deep.include({ has_more: true, first_id: newest[1], last_id: newest[2] });
    const back = await anthropic().models.list({ limit: 2, before_id: newest[3]! });
    expect(back).to.deep.include({ has_more: true, first_id: newest[1], last_id: newest[2] });
    expect((await anthropic().models.list()).data.at(-1)).to.deep.equal({
      type: "model",
      id: "one",
      display_name: "The first",
      created_at: "2026-01-01T00:00:00.000Z",
      max_input_tokens: 200_000,
      max_tokens: 1_000,
    });
    for (const query of [{ limit: 0 }, { limit: 1_001 }, { after_id: "no-such" }, { after_id: "one", before_id: "two" }]) {
      expect(await caught(anthropic().models.list(query))).to.be.instanceOf(Anthropic.BadRequestError);
    }
  });

  it("are shown one by one, by name or alias, also with slashes and colons", async () => {
    expect(await openai().models.retrieve(WITH_SLASHES)).to.include({ id: WITH_SLASHES, object: "model" });
    expect(await anthropic().models.retrieve(WITH_SLASHES)).to.include({ id: WITH_SLASHES, type: "model", display_name: WITH_SLASHES });
    expect(await openai().models.retrieve("FIRST-alias")).to.include({ id: "one" });
    const plain = await fetch(`${relay.url}/v1/models/${WITH_SLASHES}?x=1`, { headers: { authorization: `Bearer ${ada.key}` } });
    expect(await plain.json()).to.include({ id: WITH_SLASHES });
  });

  it("are unknown when there is no such one, when it has no price, and when the key may not call it", async () => {
    const narrow = await relay.customer({ models: ["two"] });
    for (const asking of [
      openai().models.retrieve("no-such"),
      openai().models.retrieve("without-price"),
      openai(narrow.key).models.retrieve("one"),
    ]) {
      expect(await caught(asking))
        .to.be.instanceOf(OpenAI.NotFoundError)
        .and.include({ code: "model_not_found" });
    }
    expect(await caught(anthropic().models.retrieve("%E0%A4%A")))
      .to.be.instanceOf(Anthropic.NotFoundError)
      .and.include({ type: "not_found_error" });
    expect((await openai(narrow.key).models.list()).data.map(({ id }) => id)).to.deep.equal(["two"]);
    expect((await anthropic(narrow.key).models.list()).data.map(({ id }) => id)).to.deep.equal(["two"]);
    expect(await openai(narrow.key).models.retrieve("two")).to.include({ id: "two" });
  });

  it("are refused in the caller's own words", async () => {
    expect(await caught(anthropic("sk-tk-no").models.list()))
      .to.be.instanceOf(Anthropic.AuthenticationError)
      .and.include({ type: "authentication_error" });
    expect(await caught(openai("sk-tk-no").models.list()))
      .to.be.instanceOf(OpenAI.AuthenticationError)
      .and.include({ code: "invalid_api_key" });
    const posted = await fetch(`${relay.url}/v1/models/one`, { method: "POST", headers: { "anthropic-version": "2023-06-01" } });
    expect([posted.status, posted.headers.get("allow")]).to.deep.equal([405, "GET"]);
    expect(await posted.json()).to.deep.include({ type: "error" });
    const limited = await relay.customer({ keyLimits: { requests_per_minute: 1 } });
    await anthropic(limited.key).models.list();
    expect(await caught(anthropic(limited.key).models.retrieve("one"))).to.be.instanceOf(Anthropic.RateLimitError);
  });
});
