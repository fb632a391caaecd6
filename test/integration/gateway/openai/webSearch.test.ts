import { expect } from "chai";
import { answerOf, streamOf } from "../rawUpstream.ts";
import { useOpenai } from "./rig.ts";

const USAGE = { input_tokens: 1500, output_tokens: 800, total_tokens: 2300 };
const search = (id: string, action = "search"): object => ({ type: "web_search_call", id, status: "completed", action: { type: action } });
const OUTPUT = [
  search("ws_1"),
  search("ws_2"),
  search("ws_3", "open_page"),
  { type: "message", id: "msg_1", content: [{ type: "output_text", text: "Hello" }] },
];

describe("web search in responses", () => {
  const rig = useOpenai();
  const ask = (model: string, more: object = {}) => ({
    model,
    input: "x",
    max_output_tokens: 900,
    tools: [{ type: "web_search" }],
    ...more,
  });

  it("is refused where it has no price", async () => {
    const model = await rig.model({ raw: true });
    const refused = await rig.send("/v1/responses", ask(model));
    expect(refused.status).to.equal(400);
    expect(await refused.json()).to.have.nested.property("error.param", "tools[0].type");
    expect(rig.raw.requests).to.have.length(0);
  });

  it("is charged search by search, streaming and not, with or without the provider's usage", async () => {
    const model = await rig.model({ raw: true, input: "1", prices: { web_search_price: "2" } });
    const response = { id: "resp_1", object: "response", status: "completed", output: OUTPUT, usage: USAGE };
    rig.raw.behave(answerOf(200, JSON.stringify(response)));
    await rig.client().responses.create(ask(model, { max_tool_calls: 3 }) as never);
    expect(rig.raw.requests[0]!.body).to.include({ max_tool_calls: 3 });
    expect(await rig.bill()).to.deep.include({ charged: 53_500_000n, units: { searches: 2 } });

    const events = OUTPUT.map((item, i) => ["response.output_item.done", { output_index: i, item }] as const);
    const delta = ["response.output_text.delta", { output_index: 3, delta: "Hello" }] as const;
    const stream = (usage: object | null) =>
      [...events, delta, ["response.completed", { response: { ...response, usage } }] as const].map(
        ([type, fields], i) => `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: i, ...fields })}\n\n`,
      );
    rig.raw.behave(streamOf(...stream(USAGE)));
    await (await rig.send("/v1/responses", ask(model, { stream: true }))).text();
    expect(rig.raw.requests[0]!.body).to.include({ max_tool_calls: 5 });
    expect(await rig.bill()).to.deep.include({ charged: 107_000_000n, units: { searches: 2 } });
    rig.raw.behave(streamOf(...stream(null)));
    await (await rig.send("/v1/responses", ask(model, { stream: true }))).text();
    expect(await rig.bill()).to.deep.include({ estimated: true, units: { searches: 2 } });
  });

  it("is held for, with what it brings into the prompt", async () => {
    const model = await rig.model({ raw: true, input: "1", output: "0", prices: { web_search_price: "2" } });
    const poor = await rig.relay.customer({ credits: "50" });
    // Five searches of 2 credits, and 8000 tokens for each.
    const refused = await rig
      .client(poor.key)
      .responses.create(ask(model) as never)
      .catch((error: unknown) => error);
    expect(refused).to.include({ status: 402 });
  });
});
