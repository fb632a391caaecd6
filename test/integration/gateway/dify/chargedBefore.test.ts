import { expect } from "chai";
import { createBus, type ActivityEvent } from "../../../../src/activity/index.ts";
import { addEvent, ratesOf } from "../../../../src/monitor/sums.ts";
import { waitFor } from "../../../support/waitFor.ts";
import { claimEarly } from "./early.ts";
import { useDify } from "./rig.ts";

type Ended = Extract<ActivityEvent, { kind: "call.ended" }>;

describe("a Dify message that was charged before its call ended", () => {
  const bus = createBus();
  const ended: Ended[] = [];
  bus.on("call.ended", (event) => ended.push(event));
  const rig = useDify({}, bus);
  let hook: Awaited<ReturnType<typeof claimEarly>>;
  before(async () => {
    hook = await claimEarly(rig);
  });
  after(() => hook.close());

  it("counts no tokens and no cost a second time, neither for whoever watches nor for limits", async () => {
    const { model } = await rig.app("chat", { maxOutput: 1_000 });
    const ada = await rig.customer(model, { userLimits: { tokens_per_minute: 3_000, requests_per_minute: 1_000, max_parallel: 10 } });
    await rig.stream(ada, "/chat-messages", { query: "[[webhook:early]] Which way?" });
    expect(hook.messages).to.have.length(1);
    expect(await rig.bill(ada)).to.include({ code: "charged_before", charged: 0n });
    const mine = () => ended.filter(({ user_id }) => user_id === ada.userId);
    await waitFor(async () => mine().length === 1);
    expect(mine()[0]).to.include({ outcome: "ok", tokens: null, cost: null });
    const sums = {};
    addEvent(sums, mine()[0]!);
    expect(ratesOf(0, sums, 0)).to.deep.include({ cost: "0", tokens: { input: 0, output: 0 } });
    // 2300 of 3000 tokens a minute would be too many for another call that may take 1000.
    const again = await rig.send(ada, "/chat-messages", { query: "And back?", inputs: {}, user: "x", response_mode: "blocking" });
    expect(again.status).to.equal(200);
    await waitFor(async () => mine().length === 2);
    expect(mine()[1]).to.deep.include({ cost: "93" });
    expect(mine()[1]!.tokens).to.include({ input: 1_500, output: 800 });
  });
});
