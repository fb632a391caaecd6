import { expect } from "chai";
import { seedDemo } from "../../../src/main/seed-demo.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { useStack } from "../../support/stack.ts";
import { startCopy, type Copy } from "./support.ts";

const log = createLogger({ level: "silent", name: "test" });

describe("the demo upstream in development", () => {
  const places = useStack();
  let copy: Copy;
  before(async () => {
    copy = await startCopy({ databaseUrl: places.databaseUrl });
  });
  after(() => copy.stop());

  const seed = (url: string) => seedDemo({ pool: copy.pool, secretBox: copy.secretBox, url, log });

  it("is added once, however many copies start, and followed when it moves", async () => {
    await Promise.all([seed("http://127.0.0.1:8027"), seed("http://127.0.0.1:8027")]);
    await seed("http://127.0.0.1:8027/v1");
    const providers = await copy.call("GET", "/api/admin/providers");
    expect(providers.body.data.items.map((item) => [item["name"], item["base_url"]])).to.deep.equal([
      ["Demo upstream", "http://127.0.0.1:8027"],
    ]);
    expect(
      (await copy.call("GET", "/api/models")).body.data.items.map((item) => [item["name"], item["input_price"], item["output_price"]]),
    ).to.deep.equal([
      ["demo-chat", "30", "60"],
      ["demo-fast", "15", "30"],
    ]);
    await seed("http://127.0.0.1:9999");
    copy.catalog.drop();
    expect((await copy.catalog.route("demo-chat"))[0]?.provider.baseUrl).to.equal("http://127.0.0.1:9999");
  });
});
