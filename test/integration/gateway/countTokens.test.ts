import Anthropic from "@anthropic-ai/sdk";
import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { waitFor } from "../../support/stack.ts";
import { useDemoRelay } from "./demoRelay.ts";

const messages = [{ role: "user" as const, content: "How much is the toll?" }];

for (const apiFormat of ["claude", "openai"] as const) {
  describe(`tokens counted before a call, of a provider that speaks ${apiFormat}`, () => {
    const demo = useDemoRelay({ apiFormat });
    const client = (options: object = {}): Anthropic =>
      new Anthropic({ apiKey: demo.ada.key, baseURL: demo.relay.url, maxRetries: 0, ...options });
    const count = (more: object = {}, options: object = {}) =>
      client(options).messages.countTokens({ model: demo.model, messages, ...more });
    const caught = (counting: Promise<unknown>) => counting.catch((error: unknown) => error as { status: number; message: string });

    it("are told, and cost nothing", async () => {
      const { input_tokens } = await count({ system: "Be brief" });
      expect(input_tokens).to.be.within(8, 40);
      expect((await count({ system: "Be brief. ".repeat(100) })).input_tokens).to.be.greaterThan(input_tokens + 200);
      const calls = await upstreamCalls();
      expect(calls.map(({ path }) => path)).to.deep.equal(
        apiFormat === "claude" ? Array.from({ length: 2 }, () => "/v1/messages/count_tokens") : [],
      );
      expect(calls.every(({ body }) => (body as { model: string }).model === "upstream-model")).to.equal(true);
      expect(await demo.relay.balance(demo.ada)).to.deep.equal({ total: "1000000000", held: "0" });
      expect(await demo.relay.lastEvent(demo.ada)).to.equal(undefined);
      expect((await demo.relay.ledger.verify()).balanced).to.equal(true);
    });

    const upstreamCalls = () => demo.upstream.calls();

    it("are told to an empty wallet, but not more often than its limit", async () => {
      const poor = await demo.relay.customer({ credits: "0", keyLimits: { requests_per_minute: 2 } });
      for (let i = 0; i < 2; i++) expect((await count({}, { apiKey: poor.key })).input_tokens).to.be.greaterThan(0);
      expect(await caught(count({}, { apiKey: poor.key }))).to.be.instanceOf(Anthropic.RateLimitError);
    });

    it("are refused as the message would be", async () => {
      expect(await caught(count({ messages: [] })))
        .to.be.instanceOf(Anthropic.BadRequestError)
        .and.have.property("message")
        .that.contains("messages");
      expect(await caught(count({ tools: [{ type: "code_execution_20250825", name: "code_execution" }] }))).to.be.instanceOf(
        Anthropic.BadRequestError,
      );
      expect(await caught(count({ model: "no-such" }))).to.be.instanceOf(Anthropic.NotFoundError);
      expect(await caught(count({}, { apiKey: "sk-tk-no" }))).to.be.instanceOf(Anthropic.AuthenticationError);
      expect((await count({ thinking: { type: "enabled", budget_tokens: 5_000 } })).input_tokens).to.be.greaterThan(0);
    });

    if (apiFormat === "claude") {
      it("are asked for by no more calls at once than the key may make", async () => {
        const one = await demo.relay.customer({ keyLimits: { max_parallel: 1 } });
        await demo.upstream.tell("[[fault:hang]]", { times: 1 });
        const first = caught(count({}, { apiKey: one.key }));
        await waitFor(async () => (await upstreamCalls()).length === 1, { timeoutMs: 5_000, message: "the first to be with the provider" });
        expect(await caught(count({}, { apiKey: one.key }))).to.be.instanceOf(Anthropic.RateLimitError);
        expect(await first).to.include({ status: 504 });
        expect((await count({}, { apiKey: one.key })).input_tokens).to.be.greaterThan(0);
      });

      it("are not asked for more often than the model may be called", async () => {
        await demo.relay.pool.query("INSERT INTO gateway_limits (id, scope, model, mode, limits) VALUES ($1, 'model', $2, 'enforce', $3)", [
          uuidv7(),
          demo.model,
          { requests_per_minute: 3 },
        ]);
        await demo.relay.pool.query("SELECT pg_notify('tollkeeper_changed', 'settings:limits')");
        const outcomes: unknown[] = [];
        await waitFor(async () => outcomes.push(await caught(count())) > 0 && outcomes.at(-1) instanceof Anthropic.RateLimitError, {
          timeoutMs: 5_000,
          message: "the model's limit",
        });
        await demo.relay.pool.query("DELETE FROM gateway_limits WHERE model = $1", [demo.model]);
        await demo.relay.pool.query("SELECT pg_notify('tollkeeper_changed', 'settings:limits')");
        await waitFor(async () => !((await caught(count())) instanceof Anthropic.RateLimitError), { timeoutMs: 5_000, message: "its end" });
      });

      for (const [directives, status] of [
        ["[[fault:status code=500]]", 502],
        ["[[fault:status code=429]]", 429],
        ["[[fault:bad_json]]", 502],
        ["[[fault:hang]]", 504],
      ] as const) {
        it(`fail as a call does: ${directives} at the provider is ${status}, nothing is held or recorded`, async () => {
          await demo.upstream.tell(directives);
          expect(await caught(count())).to.include({ status });
          expect(await demo.relay.balance(demo.ada)).to.deep.equal({ total: "1000000000", held: "0" });
          expect(await demo.relay.lastEvent(demo.ada)).to.equal(undefined);
        });
      }
    }
  });
}
