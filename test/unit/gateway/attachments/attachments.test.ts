import { expect } from "chai";
import { Attachments } from "../../../../src/gateway/attachments/index.ts";
import type { PromptModel } from "../../../../src/gateway/pipeline/format.ts";
import { USUAL_MODEL } from "../../../support/models.ts";
import { mp4, pdf, pictures } from "../../../support/pictures.ts";

const base64 = (data: Buffer): string => data.toString("base64");

/** What one attachment is likely to cost, and at most. */
function cost(model: Partial<PromptModel>, attach: (attachments: Attachments) => void): [likely: number, most: number] {
  const attachments = new Attachments({ ...USUAL_MODEL, ...model });
  attach(attachments);
  const { tokens, unseen } = attachments.withText(0);
  return [tokens, tokens + unseen];
}

describe("what attachments are held for", () => {
  it("a picture of known size: the family's rule; of unknown size: the family's most", () => {
    const large = pictures["png"]!(2_048, 2_048);
    expect(cost({ name: "gpt-4o" }, (all) => all.image(large, "high"))).to.deep.equal([765, 765]);
    expect(cost({ name: "gpt-4o" }, (all) => all.image(undefined, "auto"))).to.deep.equal([1_445, 1_445]);
    expect(cost({ name: "gpt-4o-mini" }, (all) => all.image(undefined, undefined))).to.deep.equal([1_600, 2_833 + 8 * 5_667]);
    expect(cost({ name: "claude-opus-4-8" }, (all) => all.image("AAAA", undefined))).to.deep.equal([1_600, 4_800]);
    expect(cost({}, (all) => all.image(undefined, undefined))).to.deep.equal([1_600, 5_000]);
  });

  it("a picture at low detail counts little only where the family has that", () => {
    expect(cost({ name: "gpt-4o" }, (all) => all.image(undefined, "low"))).to.deep.equal([85, 85]);
    expect(cost({ name: "gpt-4o-mini" }, (all) => all.image(undefined, "low"))).to.deep.equal([2_833, 2_833]);
    expect(cost({}, (all) => all.image(undefined, "low"))).to.deep.equal([1_600, 5_000]);
  });

  it("a picture by the model's setting", () => {
    const small = pictures["png"]!(100, 100);
    const [likely] = cost({}, (all) => all.image(small, undefined));
    expect(cost({ maxImageTokens: 40_000 }, (all) => all.image(small, undefined))).to.deep.equal([likely, 40_000]);
    expect(cost({ maxImageTokens: 300, name: "gpt-4o" }, (all) => all.image(undefined, undefined))).to.deep.equal([300, 300]);
  });

  it("a PDF by its pages, in whatever way it is written", () => {
    for (const packed of [false, true]) {
      expect(cost({}, (all) => all.file(base64(pdf(7, { packed }))))).to.deep.equal([7 * 3_000, 7 * 4_800]);
    }
    expect(cost({}, (all) => all.file(base64(Buffer.concat([Buffer.alloc(500, " "), pdf(7)]))))).to.deep.equal([7 * 3_000, 7 * 4_800]);
    expect(cost({ maxFileTokens: 20_000 }, (all) => all.file(base64(pdf(7))))).to.deep.equal([20_000, 20_000]);
  });

  it("a file whose pages cannot be counted: the model's setting", () => {
    const secret = base64(pdf(7, { packed: true, encrypted: true }));
    expect(cost({}, (all) => all.file(secret))).to.deep.equal([3_000, 200_000]);
    expect(cost({ maxFileTokens: 50_000 }, (all) => all.file(undefined))).to.deep.equal([10_000, 50_000]);
    expect(cost({ maxFileTokens: 5_000 }, (all) => all.file(undefined))).to.deep.equal([5_000, 5_000]);
    expect(cost({}, (all) => all.file(base64(Buffer.alloc(9_000, "a"))))).to.deep.equal([3_000, 3_000]);
    expect(cost({}, (all) => all.file(base64(Buffer.alloc(9_000))))).to.deep.equal([3_000, 9_000]);
  });

  it("a video by its seconds, whatever its headers claim", () => {
    expect(cost({ videoSecondTokens: 300 }, (all) => all.video(base64(mp4(12))))).to.deep.equal([3_600, 3_600]);
    expect(cost({ videoSecondTokens: 300 }, (all) => all.video(base64(mp4(12, { claimed: 1 }))))).to.deep.equal([3_600, 3_600]);
    expect(cost({}, (all) => all.video(base64(Buffer.alloc(80_000))))).to.deep.equal([8_000, 8_000]);
    expect(cost({ videoSecondTokens: 100 }, (all) => all.video(undefined))).to.deep.equal([6_000, 360_000]);
  });

  it("all together never more than the model can read", () => {
    const both = (all: Attachments): void => {
      all.video(undefined);
      all.file(undefined);
    };
    expect(cost({ contextLength: 128_000 }, both)).to.deep.equal([58_000, 128_000]);
    expect(cost({ contextLength: 30_000 }, both)).to.deep.equal([30_000, 30_000]);
    // Its tokens are billed 33 times over; its window is not that much smaller.
    expect(
      cost({ contextLength: 128_000, name: "gpt-4o-mini" }, (all) => Array.from({ length: 5 }, () => all.image(undefined, undefined)))[1],
    ).to.equal(5 * (2_833 + 8 * 5_667));
  });

  it("costs no time worth the name, however odd the file is", () => {
    const started = performance.now();
    for (const data of [
      Buffer.concat([Buffer.from("%PDF-1.4"), Buffer.alloc(12_000_000, "/Page ")]),
      Buffer.concat([Buffer.from("%PDF-1.4"), Buffer.alloc(12_000_000, "/ObjStm stream ")]),
    ]) {
      expect(cost({}, (all) => all.file(base64(data)))[1]).to.equal(200_000);
    }
    expect(performance.now() - started).to.be.lessThan(2_000);
  });
});
