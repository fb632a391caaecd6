import { expect } from "chai";
import { waitFor } from "../../../support/stack.ts";
import { answerOf, closed, LAST_PIECE, piece, STREAM_HEAD, streamOf } from "../rawUpstream.ts";
import { useOpenai } from "./rig.ts";

const USAGE = { input_tokens: 1500, output_tokens: 800, total_tokens: 2300 };
const TEXT = "Hello, traveller.";

/** Numbers events as the vendor does. */
function numbered(...events: [type: string, fields?: object][]): string[] {
  return events.map(([type, fields], i) => `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: i, ...fields })}\n\n`);
}
const response = (status: string, more: object = {}): object => ({ id: "resp_1", object: "response", status, output: [], ...more });
const CREATED: [string, object] = ["response.created", { response: response("in_progress", { usage: null }) }];
const item = { type: "message", id: "msg_1", role: "assistant", content: [{ type: "output_text", text: TEXT }] };
const delta = (text: string): [string, object] => [
  "response.output_text.delta",
  { item_id: "msg_1", output_index: 0, content_index: 0, delta: text },
];
const TEXT_DONE: [string, object] = ["response.output_text.done", { item_id: "msg_1", output_index: 0, content_index: 0, text: TEXT }];

describe("responses", () => {
  const rig = useOpenai();

  it("answer the official client, streaming and not, and are charged by usage", async () => {
    const model = await rig.model();
    const input = "What does a toll keeper do? [[usage:1500,800 cached=100 reasoning=300]]";
    const whole = await rig.client().responses.create({ model, input, max_output_tokens: 900 });
    expect(whole.output_text).to.not.equal("");
    expect((await rig.bill()).charged).to.equal(93_000_000n);
    const streamed = await rig.client().responses.stream({ model, input, max_output_tokens: 900 }).finalResponse();
    expect(streamed.output_text).to.equal(whole.output_text);
    expect(await rig.bill()).to.deep.include({ charged: 186_000_000n, status: "ok", estimated: false, tokens: [1400, 500] });
  });

  it("pass a stream byte for byte, names and numbers with it", async () => {
    const model = await rig.model({ raw: true });
    const events = numbered(
      CREATED,
      ["response.in_progress", {}],
      delta("Hello,"),
      ["response.of_tomorrow", { x: 1 }],
      delta(" traveller."),
      TEXT_DONE,
      ["response.completed", { response: response("completed", { output: [item], usage: USAGE }) }],
    );
    rig.raw.behave(streamOf(...events, "data: [DONE]\n\n"));
    const answer = await rig.send("/v1/responses", { model, input: "x", stream: true, max_output_tokens: 900, unheard_of: 1 });
    expect(await answer.text()).to.equal(events.join(""));
    expect(rig.raw.requests[0]!.body).to.deep.equal({
      model: "upstream-model",
      input: "x",
      stream: true,
      max_output_tokens: 900,
      unheard_of: 1,
    });
    expect((await rig.bill()).charged).to.equal(93_000_000n);
  });

  it("tools stream their arguments to the official client", async () => {
    const model = await rig.model();
    const stream = await rig.client().responses.create({
      model,
      input: "[[tool:weather,time]]",
      stream: true,
      tools: ["weather", "time"].map((name) => ({
        type: "function" as const,
        name,
        strict: false,
        parameters: { type: "object", properties: {} },
      })),
    });
    const names: string[] = [];
    for await (const event of stream)
      if (event.type === "response.output_item.done" && event.item.type === "function_call") names.push(event.item.name);
    expect(names).to.deep.equal(["weather", "time"]);
    expect(await rig.bill()).to.include({ status: "ok", estimated: false });
  });

  it("one that stopped early is an answer and is charged", async () => {
    const model = await rig.model({ raw: true });
    const incomplete = response("incomplete", { output: [item], usage: USAGE, incomplete_details: { reason: "max_output_tokens" } });
    const events = numbered(CREATED, delta(TEXT), ["response.incomplete", { response: incomplete }]);
    rig.raw.behave(streamOf(...events));
    const answer = await rig.send("/v1/responses", { model, input: "x", stream: true, max_output_tokens: 900 });
    expect(await answer.text()).to.equal(events.join(""));
    rig.raw.behave(answerOf(200, JSON.stringify(incomplete)));
    await rig.client().responses.create({ model, input: "x", max_output_tokens: 900 });
    expect((await rig.bill()).charged).to.equal(2n * 93_000_000n);
  });

  for (const [name, last, message] of [
    [
      "response.failed",
      ["response.failed", { response: response("failed", { usage: USAGE, error: { code: "server_error", message: "It broke" } }) }],
      "It broke",
    ],
    ["error", ["error", { code: "server_error", message: "It broke", param: null }], "It broke"],
    ["nothing more", undefined, "broke off"],
    ["an event that is not JSON", "event: response.output_text.delta\ndata: {no\n\n", "not JSON"],
  ] as [string, [string, object] | string | undefined, string][]) {
    it(`a stream that ends with ${name} ends for the client with a numbered error, and is free`, async () => {
      const model = await rig.model({ raw: true });
      const events = numbered(CREATED, delta("Hello,"));
      const end = Array.isArray(last) ? numbered(CREATED, delta(""), last)[2]! : (last ?? "");
      rig.raw.behave(streamOf(...events, ...(end ? [end] : [])));
      const answer = await (await rig.send("/v1/responses", { model, input: "x", stream: true, max_output_tokens: 900 })).text();
      expect(answer.startsWith(events.join(""))).to.equal(true);
      const error = answer.slice(events.join("").length);
      expect(error).to.match(/^event: error\ndata: \{.*\}\n\n$/);
      const data = JSON.parse(error.split("data: ")[1]!) as object;
      expect(data).to.include({ type: "error", code: "upstream_error", param: null, sequence_number: 2 });
      expect(data).to.have.property("message").that.contains(message);
      const seen: string[] = [];
      const failed = await (async () => {
        for await (const event of await rig.client().responses.create({ model, input: "x", stream: true })) seen.push(event.type);
      })().catch((thrown: { code: string; message: string }) => thrown);
      expect(seen).to.deep.equal(["response.created", "response.output_text.delta"]);
      expect(failed).to.include({ code: "upstream_error" });
      expect(await rig.bill()).to.include({ charged: 0n, status: "failed" });
    });
  }

  for (const status of ["failed", "cancelled", "queued", "in_progress"]) {
    it(`an answer with the status ${status} is the provider's failure and free`, async () => {
      const model = await rig.model({ raw: true });
      rig.raw.behave(answerOf(200, JSON.stringify(response(status, { usage: USAGE }))));
      expect((await rig.send("/v1/responses", { model, input: "x" })).status).to.equal(502);
      expect(await rig.bill()).to.include({ charged: 0n, status: "failed" });
    });
  }

  it("count what was delivered once, when the provider does not say", async () => {
    const model = await rig.model({ raw: true });
    const completed: [string, object] = ["response.completed", { response: response("completed", { output: [item] }) }];
    const ask = async (...events: [string, object][]) => {
      rig.raw.behave(streamOf(...numbered(...events)));
      await (await rig.send("/v1/responses", { model, input: "Hello", stream: true, max_output_tokens: 900 })).text();
      return (await rig.bill()).tokens[1];
    };
    // "Hello, traveller." is 4 tokens.
    expect(await ask(CREATED, delta("Hello,"), delta(" traveller."), TEXT_DONE, completed)).to.equal(4);
    expect(await ask(CREATED, TEXT_DONE, completed)).to.equal(4);
    expect(await ask(CREATED, completed)).to.equal(4);
    const call = ["response.output_item.added", { output_index: 1, item: { type: "function_call", name: "Hello" } }] as [string, object];
    const args = (event: string, field: string): [string, object] => [
      `response.function_call_arguments.${event}`,
      { output_index: 1, [field]: "traveller" },
    ];
    const rest = ["reasoning_summary_text", "refusal", "custom_tool_call_input", "reasoning_text"].map((kind, i): [string, object] => [
      `response.${kind}.delta`,
      { output_index: 2 + i, delta: "Hello" },
    ]);
    // "traveller" is 2 tokens, "Hello" 1.
    expect(await ask(CREATED, delta(TEXT), call, args("delta", "delta"), args("done", "arguments"), ...rest, completed)).to.equal(
      4 + 1 + 2 + 4,
    );
  });

  it("a client that leaves pays the prompt and what it was given", async () => {
    const model = await rig.model({ raw: true });
    rig.raw.behave((socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(numbered(CREATED, delta(TEXT)).join(""))]));
      return closed(socket);
    });
    const controller = new AbortController();
    const stream = await rig.client().responses.create({ model, input: "Hello", stream: true }, { signal: controller.signal });
    for await (const event of stream) if (event.type === "response.output_text.delta") break;
    controller.abort();
    expect(await rig.bill()).to.deep.include({ status: "client_gone", estimated: true, tokens: [8, 4] });
    await waitFor(() => rig.raw.aborted === 1, { timeoutMs: 3_000, message: "the provider's socket to be closed" });
  });

  it("wait for content before the first byte, so that another provider can still answer", async () => {
    const model = await rig.relay.model([rig.raw.url, rig.upstream.url]);
    rig.raw.behave((socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(numbered(CREATED).join("")), LAST_PIECE]));
    });
    const answer = await rig.client().responses.stream({ model, input: "Who are you?" }).finalResponse();
    expect(answer.output_text).to.not.equal("");
  });
});
