import { expect } from "chai";
import { commonRule, ruleOfModel } from "../../../../src/gateway/attachments/imageRules.ts";
import { imageSize } from "../../../../src/gateway/attachments/imageSize.ts";
import { pictures } from "../../../support/pictures.ts";

describe("a picture's size", () => {
  for (const [kind, write] of Object.entries(pictures)) {
    it(`is read from the beginning of a ${kind}`, () => {
      expect(imageSize(write(1_234, 567))).to.deep.equal({ width: 1_234, height: 567 });
    });
    it(`is not known of a ${kind} that ends too early`, () => {
      const whole = Buffer.from(write(1_234, 567), "base64");
      for (let length = 0; length < 18; length++) expect(imageSize(whole.subarray(0, length).toString("base64"))).to.equal(undefined);
    });
  }

  it("is not known of anything else", () => {
    for (const data of ["", "AAAA", "not base64 at all", "A".repeat(5_000), "/9j/".repeat(200_000)])
      expect(imageSize(data)).to.equal(undefined);
  });

  it("does not depend on line breaks in the base64", () => {
    const folded = pictures["jpeg"]!(800, 600).replaceAll(/.{76}/g, "$&\r\n");
    expect(imageSize(folded)).to.deep.equal({ width: 800, height: 600 });
  });
});

describe("what a picture costs in tokens", () => {
  // From the vendors' manuals.
  const examples: [model: string, width: number, height: number, tokens: number][] = [
    ["gpt-4o", 1_024, 1_024, 765],
    ["openai/gpt-4.1", 2_048, 4_096, 1_105],
    ["gpt-4o-2024-08-06", 150, 150, 255],
    ["gpt-4o-mini", 1_024, 1_024, 2_833 + 4 * 5_667],
    ["gpt-5", 1_024, 1_024, 70 + 4 * 140],
    ["o3", 512, 512, 75 + 150],
    ["o4-mini", 1_024, 1_024, 1_762],
    ["gpt-4.1-mini", 1_800, 2_400, 2_489],
    ["anthropic/claude-3.5-sonnet", 1_000, 1_000, 1_334],
    ["claude-3-7-sonnet-20250219", 4_000, 3_000, 1_600],
    ["claude-opus-4-8", 1_000, 1_000, 1_334],
    ["claude-opus-4-8", 4_000, 3_000, 4_800],
    ["google/gemini-2.5-pro-preview", 300, 384, 258],
    ["gemini-2.5-flash", 960, 540, 6 * 258],
  ];
  for (const [model, width, height, tokens] of examples) {
    it(`is ${tokens} for ${width} × ${height} with ${model}`, () => {
      expect(ruleOfModel(model)!.of({ width, height })).to.equal(tokens);
    });
  }

  it("is never more than the family's most, whatever its size", () => {
    for (const model of ["gpt-4o", "gpt-4o-mini", "gpt-4.1-nano", "o1", "claude-3-haiku", "claude-opus-5", "gemini-3-pro"]) {
      const rule = ruleOfModel(model)!;
      for (const [width, height] of [
        [1, 1],
        [1, 60_000],
        [60_000, 60_000],
        [2_049, 769],
        [768, 2_048],
        [3_072, 3_072],
      ] as const) {
        expect(rule.of({ width, height }), `${model} ${width} × ${height}`).to.be.within(1, rule.most);
      }
    }
  });

  it("is the most of the common rules where the family is not known", () => {
    expect(ruleOfModel("house-vision")).to.equal(undefined);
    expect(commonRule.of({ width: 1_024, height: 1_024 })).to.be.greaterThan(1_300);
    expect(commonRule.of({ width: 50_000, height: 50_000 })).to.equal(5_000);
  });
});
