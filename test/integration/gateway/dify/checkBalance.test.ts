import { expect } from "chai";
import { createAppHolds } from "../../../../src/gateway/index.ts";
import { createCatalog } from "../../../../src/gateway/providers/index.ts";
import type { Principal } from "../../../../src/http/principal.ts";
import { formatCredits, MICRO } from "../../../../src/platform/credits.ts";
import { createLogger } from "../../../../src/platform/logger.ts";
import { createSecretBox } from "../../../../src/platform/secrets.ts";
import { createPricing } from "../../../../src/pricing/index.ts";
import { estimateCall, type EstimateDeps } from "../../../../src/wallet/estimate.ts";
import { lookAtCall } from "../../../../src/wallet/look.ts";
import type { Customer, ModelOptions } from "../harness.ts";
import { useDify } from "./rig.ts";

const WORDS = "Which way leads to the bridge, and what is its toll today?";
/** As the tokenizer of the relay counts it. */
const TOKENS = 14;

describe("what is said before a call of a Dify app", () => {
  const rig = useDify({ DEFAULT_MAX_OUTPUT_TOKENS: "1000" });

  function deps(usual?: number): EstimateDeps {
    const { pool, invalidation } = rig.relay;
    const pricing = createPricing({ pool, invalidation });
    const secretBox = createSecretBox([{ id: "t", secret: Buffer.alloc(32, 1) }]);
    const timeouts = { connectMs: 1, firstByteMs: 1, wholeMs: 1, idleMs: 1, totalMs: 1 };
    const catalog = createCatalog({ pool, invalidation, secretBox, timeouts, log: createLogger({ level: "silent", name: "test" }) });
    const average = { calls: 1, tokens: { input: usual ?? 0, cachedInput: 0, cacheWrite: 0, cacheWriteLong: 0, output: 10, reasoning: 0 } };
    return {
      pricing,
      priceClass: async () => ({ tier: "free", keyGroup: null }),
      averages: { ofUser: async () => (usual === undefined ? undefined : average), ofModel: async () => undefined },
      appHold: createAppHolds({ catalog, pricing, defaultMaxOutputTokens: 1_000 }),
    };
  }
  async function check(who: Customer, model: string, counts: { inputTokens?: number; outputTokens?: number }, usual?: number) {
    const principal = { walletId: who.walletId, userId: who.userId } as Principal;
    const estimate = await estimateCall(deps(usual), principal, { model, ...counts });
    const outcome = await lookAtCall(
      { ledger: rig.relay.ledger, spendOf: async () => null, weightOf: async () => 100 },
      principal,
      estimate,
    );
    return { hold: formatCredits(estimate.hold), cost: formatCredits(estimate.cost), allowed: outcome.kind === "held" };
  }
  const call = async (who: Customer) =>
    (await rig.send(who, "/chat-messages", { inputs: {}, query: WORDS, response_mode: "blocking" })).status;

  for (const [what, options, hold] of [
    // 16 of the prompt and its margin, 2000 and 1000 more: at 30 in and 60 out for 1000.
    ["with the settings that apps have", {}, 120_480_000n],
    ["with an operator's figure for what it adds", { config: { dify: { unseen_tokens: 500 } } }, 75_480_000n],
    ["with a cap of its model", { maxOutput: 100, config: { dify: { unseen_tokens: 0 } } }, 6_480_000n],
  ] as [string, ModelOptions, bigint][]) {
    it(`is what the call is told: ${what}`, async () => {
      const { model } = await rig.app("chat", options);
      const short = await rig.customer(model, { credits: formatCredits(hold - 1n) });
      const enough = await rig.customer(model, { credits: formatCredits(hold) });
      const counts = { inputTokens: TOKENS, outputTokens: 1 };
      expect(await check(short, model, counts)).to.deep.equal({ hold: formatCredits(hold), cost: "0.48", allowed: false });
      expect(await call(short)).to.equal(402);
      expect((await check(enough, model, counts)).allowed).to.equal(true);
      expect(await call(enough)).to.equal(200);
    });
  }

  it("counts what the app adds once: it is in the counts of earlier calls", async () => {
    const { model } = await rig.app("chat");
    const ada = await rig.customer(model, { credits: "1000" });
    // 3000 of which 2000 the app's, and 1000 out.
    expect((await check(ada, model, {}, 3_000)).hold).to.equal(formatCredits((1_100n + 2_000n) * 30_000n + 60n * MICRO));
    expect((await check(ada, model, {}, 100)).hold).to.equal(formatCredits(2_000n * 30_000n + 60n * MICRO));
  });

  it("leaves models that are no apps as they were", async () => {
    const model = await rig.relay.model([rig.dify.url]);
    const ada = await rig.relay.customer({ credits: "10" });
    expect(await check(ada, model, { inputTokens: 100, outputTokens: 100 })).to.deep.equal({ hold: "9.3", cost: "9", allowed: true });
  });
});
