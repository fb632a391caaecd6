import { expect } from "chai";
import { createHistory } from "../../../src/wallet/history.ts";
import { sumsBy } from "../../../src/usage/stats/sums.ts";
import { useStack } from "../../support/stack.ts";
import { message, startDify, type DifyRig } from "./rig.ts";

describe("what Dify's webhook charged", function () {
  this.timeout(30_000);
  const places = useStack();
  let rig: DifyRig;
  const sign = { key: "the-key-of-the-hook", secret: "the-secret-of-the-hook" };

  before(async () => {
    rig = await startDify(places.databaseUrl, { keys: [sign.key], secrets: [sign.secret] });
    await rig.model("GPT-4");
  });
  after(() => rig.close());

  it("is in the wallet's history with its conversation and message, and in statistics", async () => {
    const ada = await rig.person(1_000);
    const sent = message({ user_id: ada.userId });
    const answer = await rig.send(sent, sign);
    const history = createHistory({ pool: rig.pool, ledger: rig.ledger });
    const page = (await history.list(ada.walletId, ada.userId, { page: 1, page_size: 20, type: ["CONSUMPTION"] })) as {
      items: { amount: string; balance_after: string; call: Record<string, unknown> }[];
    };
    expect(page.items).to.have.length(1);
    expect(page.items[0]).to.include({ amount: "-93", balance_after: "907" });
    expect(page.items[0]!.call).to.deep.include({
      model: "GPT-4",
      input_tokens: 1_500,
      cached_input_tokens: 0,
      output_tokens: 800,
      price_version: 1,
      dify: {
        consumption_id: answer.body.data.consumptionId,
        message_id: sent.data.message_id,
        conversation_id: sent.data.conversation_id,
        request_id: sent.request_id,
      },
    });
    const from = new Date(Date.now() - 86_400_000);
    const [sums] = await sumsBy(rig.pool, "model", { from, to: new Date(Date.now() + 3_600_000) }, "UTC", { user: ada.userId });
    expect(sums).to.include({ key: "GPT-4", requests: 1n, input_tokens: 1_500n, output_tokens: 800n, cost: 93_000_000n });
  });
});
