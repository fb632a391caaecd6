import { expect } from "chai";
import { answerOf } from "../rawUpstream.ts";
import { useOpenai } from "./rig.ts";

describe("embeddings", () => {
  const rig = useOpenai();

  it("answer the official client, which asks for base64, and are charged by usage", async () => {
    const model = await rig.model();
    const answer = await rig.client().embeddings.create({ model, input: ["one toll", "two tolls [[usage:1500,0]]"] });
    expect(answer.data).to.have.length(2);
    expect(answer.data[0]!.embedding).to.have.length(1_536);
    const length = Math.hypot(...answer.data[0]!.embedding);
    expect(length).to.be.closeTo(1, 1e-3);
    const [call] = await rig.upstream.calls();
    expect(call).to.have.nested.property("body.encoding_format", "base64");
    const said = answer.usage.prompt_tokens;
    expect(await rig.bill()).to.deep.include({ charged: BigInt(said) * 30_000n, estimated: false, tokens: [said, 0] });
  });

  it("pass byte for byte, also when the answer is long", async () => {
    const model = await rig.model({ raw: true });
    const data = Array.from({ length: 200 }, (_, index) => ({ object: "embedding", index, embedding: "QUJD".repeat(2_000) }));
    const body = JSON.stringify({ object: "list", data, model: "m", usage: { prompt_tokens: 1500, total_tokens: 1500 } });
    rig.raw.behave(answerOf(200, body));
    const response = await rig.send("/v1/embeddings", { model, input: "x" });
    expect(await response.text()).to.equal(body);
    expect(await rig.bill()).to.deep.include({ charged: 45_000_000n, estimated: false, tokens: [1500, 0] });
  });

  it("are counted when the provider does not say, tokens as what they are", async () => {
    const model = await rig.model({ raw: true });
    rig.raw.behave(answerOf(200, JSON.stringify({ object: "list", data: [], model: "m" })));
    await rig.send("/v1/embeddings", { model, input: [[1, 2, 3], [4]] });
    expect(await rig.bill()).to.deep.include({ charged: 120_000n, estimated: true, tokens: [4, 0] });
  });

  it("cost nothing when the answer is none", async () => {
    const model = await rig.model({ raw: true });
    for (const body of ["<html>", '{"object":"list"}', `{"data":[${"1,".repeat(700_000)}`, '{"error":{"message":"no"}}']) {
      rig.raw.behave(answerOf(200, body));
      expect((await rig.send("/v1/embeddings", { model, input: "x" })).status).to.equal(502);
    }
    expect(await rig.bill()).to.include({ charged: 0n, status: "failed" });
  });

  const word = "toll ";
  for (const [param, input] of [
    ["input", undefined],
    ["input", ""],
    ["input", []],
    ["input[1]", ["a", ""]],
    ["input[1]", ["a", 5]],
    ["input", { text: "a" }],
    ["input", Array.from({ length: 2_049 }, () => "a")],
    ["input", Array.from({ length: 8_193 }, () => 1)],
    ["input[1]", [[1], Array.from({ length: 8_193 }, () => 1)]],
    ["input", word.repeat(8_200)],
    ["input", Array.from({ length: 40 }, () => Array.from({ length: 8_000 }, () => 1))],
  ] as const) {
    it(`are refused with the name of the field: ${param} in ${JSON.stringify(input)?.slice(0, 40)}`, async () => {
      const model = await rig.model();
      const response = await rig.send("/v1/embeddings", { model, input });
      expect(response.status).to.equal(400);
      expect(await response.json()).to.have.nested.property("error.param", param);
    });
  }
});
