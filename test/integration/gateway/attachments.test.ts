import { expect } from "chai";
import { pictures } from "../../support/pictures.ts";
import { useOpenai } from "./openai/rig.ts";

/** What a call may cost beyond its hold is charged as far as this: here nothing, so that a hold too small shows. */
const EXACT = { SETTLE_TOLERANCE_PERCENT: "0", SETTLE_TOLERANCE_CREDITS: "0" };
const LINK = "https://example.com/toll.png";

describe("a call with pictures and files", () => {
  const rig = useOpenai(EXACT);

  const told = (tokens: number) => ({ type: "text" as const, text: `[[usage:${tokens},10]]` });
  const picture = (url: string) => ({ type: "image_url" as const, image_url: { url } });

  async function chat(model: string, ...content: object[]): Promise<number> {
    const answer = await rig.send("/v1/chat/completions", { model, max_tokens: 20, messages: [{ role: "user", content }] });
    await answer.text();
    return answer.status;
  }

  it("is charged in full: the hold covers the dearest picture", async () => {
    const model = await rig.model();
    expect(await chat(model, told(4_900), picture(LINK))).to.equal(200);
    expect((await rig.bill()).charged).to.equal(4_900n * 30_000n + 10n * 60_000n);
  });

  it("is charged in full where the model's setting says that pictures are dear", async () => {
    const model = await rig.model({ columns: { max_image_tokens: 30_000 } });
    const small = `data:image/png;base64,${pictures["png"]!(64, 64)}`;
    expect(await chat(model, told(29_000), picture(small))).to.equal(200);
    expect((await rig.bill()).charged).to.equal(29_000n * 30_000n + 10n * 60_000n);
  });

  it("is refused when the wallet does not cover what it may cost, and never costs more than the wallet has", async () => {
    const model = await rig.model({ columns: { max_image_tokens: 300_000 } });
    expect(await chat(model, told(29_000), picture(LINK))).to.equal(402);
    const narrow = await rig.model({ columns: { max_image_tokens: 300_000, context_length: 30_000 } });
    expect(await chat(narrow, told(29_000), picture(LINK))).to.equal(200);
    expect((await rig.bill()).charged).to.equal(29_000n * 30_000n + 10n * 60_000n);
  });

  it("is charged the ordinary size, not the most, where the provider does not count", async () => {
    const model = await rig.model();
    expect(await chat(model, { type: "text", text: "[[fault:no_usage]]" }, picture(LINK))).to.equal(200);
    const { estimated, tokens } = await rig.bill();
    expect(estimated).to.equal(true);
    expect(tokens[0]).to.be.within(1_600, 1_700);
  });

  it("messages and responses are held for by the same rules", async () => {
    const model = await rig.model({ columns: { max_file_tokens: 28_000 } });
    const input = [
      {
        role: "user",
        content: [
          { type: "input_text", text: "[[usage:27000,10]]" },
          { type: "input_file", file_url: LINK },
        ],
      },
    ];
    expect((await rig.send("/v1/responses", { model, input, max_output_tokens: 20 })).status).to.equal(200);
    expect((await rig.bill()).charged).to.equal(27_000n * 30_000n + 10n * 60_000n);
  });
});
