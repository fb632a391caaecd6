import { expect } from "chai";
import { useStack } from "../../support/stack.ts";
import { startCopy, type Copy } from "./support.ts";

describe("the points calculator", () => {
  const places = useStack();
  let copy: Copy;

  before(async () => {
    copy = await startCopy({ databaseUrl: places.databaseUrl });
    await copy.call("POST", "/api/admin/models", { name: "GPT-4", aliases: ["four"], input_price: "30", output_price: "60" });
    await copy.call("POST", "/api/admin/models", {
      name: "draw",
      input_price: "0.001",
      output_price: "0",
      image_price: "4",
      request_price: "0.5",
    });
    await copy.call("POST", "/api/admin/models", { name: "unpriced" });
    await copy.call("POST", "/api/admin/multipliers", { name: "pro pays less", multiplier: "0.9", tier: "pro" });
  });
  after(() => copy.stop());

  const calculate = (body: object, as?: "operator" | "somebody") => copy.call("POST", "/api/admin/points/calculate", body, as);

  it("shows how 1500 and 800 tokens at 30 and 60 per 1000 come to 93 points", async () => {
    const { body } = await calculate({ items: [{ model: "gpt-4", input_tokens: 1_500, output_tokens: 800 }] });
    expect(body.data["total"]).to.equal("93");
    const [item] = body.data.items;
    expect(item).to.include({
      model: "GPT-4",
      sum: "93",
      points_per_call: "93",
      points: "93",
      price_multiplier: "1",
      text: "93 → 93 a call",
    });
    expect((item!["lines"] as { text: string }[]).map(({ text }) => text)).to.deep.equal(["1500 × 30 / 1000 = 45", "800 × 60 / 1000 = 48"]);
  });

  it("adds up any mix of models and calls, each call rounded once", async () => {
    const { body } = await calculate({
      items: [
        { model: "four", input_tokens: 1_500, output_tokens: 800, calls: 10 },
        { model: "draw", input_tokens: 1, images: 2, calls: 3 },
      ],
    });
    expect(body.data.items.map((item) => [item["sum"], item["points_per_call"], item["points"]])).to.deep.equal([
      ["93", "93", "930"],
      ["8.500001", "8.500001", "25.500003"],
    ]);
    expect(body.data["total"]).to.equal("955.500003");
  });

  it("multiplies by what the tier's multiplier says", async () => {
    const { body } = await calculate({ items: [{ model: "GPT-4", input_tokens: 1_500, output_tokens: 800 }], tier: "pro" });
    expect(body.data.items[0]).to.include({ price_multiplier: "0.9", points: "83.7", text: "93 × 0.9 → 83.7 a call" });
  });

  it("takes the prices that were in force at a moment", async () => {
    const before = new Date().toISOString();
    await copy.call("PATCH", "/api/admin/models/GPT-4", { input_price: "300" });
    const items = [{ model: "GPT-4", input_tokens: 1_000 }];
    expect((await calculate({ items, at: before })).body.data["total"]).to.equal("30");
    expect((await calculate({ items })).body.data["total"]).to.equal("300");
    await copy.call("PATCH", "/api/admin/models/GPT-4", { input_price: "30" });
  });

  it("names what it cannot calculate", async () => {
    for (const [body, field] of [
      [{ items: [{ model: "nothing" }] }, "items.0.model"],
      [{ items: [{ model: "unpriced" }] }, "items.0.model"],
      [{ items: [{ model: "GPT-4", input_tokens: -1 }] }, "items.0.input_tokens"],
      [{ items: [{ model: "GPT-4", input_tokens: 1.5 }] }, "items.0.input_tokens"],
      [{ items: [{ model: "GPT-4", input_tokens: "1500" }] }, "items.0.input_tokens"],
      [{ items: [] }, "items"],
      [{ items: [{ model: "GPT-4" }], tier: "none" }, "tier"],
    ] as const) {
      const { status, body: answer } = await calculate(body);
      expect([status, answer.error?.code], field).to.deep.equal([400, "validation_failed"]);
      expect(JSON.stringify(answer.error?.details)).to.contain(`"${field}"`);
    }
  });

  it("is for operators", async () => {
    expect((await calculate({ items: [{ model: "GPT-4" }] }, "somebody")).status).to.equal(403);
  });
});
