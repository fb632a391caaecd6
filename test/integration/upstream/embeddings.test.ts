import { expect } from "chai";
import OpenAI from "openai";
import { tokensOf } from "../../../dev/upstream/content/tokens.ts";
import { startUpstream } from "../../support/upstream.ts";

describe("the demo upstream's embeddings", () => {
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  let client: OpenAI;

  before(async () => {
    upstream = await startUpstream();
    client = new OpenAI({ apiKey: "k", baseURL: `${upstream.url}/v1`, maxRetries: 0 });
  });
  after(() => upstream?.close());

  const model = "text-embedding-demo";

  it("are the same as numbers and in base64, which the official client asks for", async () => {
    const decoded = await client.embeddings.create({ model, input: "A bridge" });
    const numbers = await client.embeddings.create({ model, input: "A bridge", encoding_format: "float" });
    expect(decoded.data[0]!.embedding).to.have.length(1_536);
    expect(decoded.data[0]!.embedding).to.deep.equal([...numbers.data[0]!.embedding]);
    expect((await upstream.calls("base64")).at(-1)!.body).to.deep.include({ encoding_format: "base64" });
    expect(decoded.usage).to.deep.equal({ prompt_tokens: tokensOf("A bridge"), total_tokens: tokensOf("A bridge") });
  });

  it("take texts and tokens, one or many, and a number of dimensions", async () => {
    const many = await client.embeddings.create({ model, input: ["one", "two", "three"], dimensions: 8 });
    expect(many.data.map(({ index, embedding }) => [index, embedding.length])).to.deep.equal([
      [0, 8],
      [1, 8],
      [2, 8],
    ]);
    expect((await client.embeddings.create({ model, input: [1, 2, 3] })).usage.prompt_tokens).to.equal(3);
    expect((await client.embeddings.create({ model, input: [[1, 2, 3], [4]] })).usage.prompt_tokens).to.equal(4);
  });

  it("have the vendor's limits", async () => {
    const refused = async (input: OpenAI.EmbeddingCreateParams["input"], more = {}) =>
      (await client.embeddings.create({ model, input, ...more }).catch((error: unknown) => error as { status: number })) as {
        status: number;
      };
    expect((await refused(Array.from({ length: 2_049 }, () => "x"))).status).to.equal(400);
    expect((await refused("")).status).to.equal(400);
    expect((await refused([Array.from({ length: 8_193 }, () => 1)])).status).to.equal(400);
    expect((await refused(Array.from({ length: 40 }, () => Array.from({ length: 8_000 }, () => 1)))).status).to.equal(400);
    expect((await refused("x", { dimensions: 9_999 })).status).to.equal(400);
  });

  it("fail and count as told", async () => {
    const usage = async (told: string) => (await client.embeddings.create({ model, input: `A bridge ${told}` })).usage;
    expect(await usage("[[usage:1500,0]]")).to.deep.equal({ prompt_tokens: 1500, total_tokens: 1500 });
    expect(await usage("[[fault:no_usage]]")).to.equal(undefined);
    for (const fault of ["die_mid_stream", "bad_json", "content_length_lie", "status code=500", "dead"])
      expect(await client.embeddings.create({ model, input: `[[fault:${fault}]]` }).catch((error: unknown) => error)).to.be.instanceOf(
        Error,
      );
  });
});
