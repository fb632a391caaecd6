import { expect } from "chai";
import { seedDemo, seedDify } from "../../../src/main/seed-demo.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { useStack } from "../../support/stack.ts";
import { startCopy, type Copy } from "./support.ts";

const log = createLogger({ level: "silent", name: "test" });

describe("the demo upstream and Dify in development", () => {
  const places = useStack();
  let copy: Copy;
  before(async () => {
    copy = await startCopy({ databaseUrl: places.databaseUrl });
  });
  after(() => copy.stop());

  const deps = (url: string) => ({ pool: copy.pool, secretBox: copy.secretBox, url, log });
  const seed = (url: string) => seedDemo(deps(url));

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

  it("stand beside each other, and are not added once an operator has a provider", async () => {
    await Promise.all([seedDify(deps("http://127.0.0.1:8028")), seedDify(deps("http://127.0.0.1:8028"))]);
    copy.catalog.drop();
    expect(await copy.catalog.difyApps()).to.deep.equal(["demo-dify"]);
    const [app] = (await copy.call("GET", "/api/admin/providers?q=Dify")).body.data.items;
    await copy.call("DELETE", `/api/admin/providers/${String(app!["id"])}`);
    await copy.call("POST", "/api/admin/providers", { name: "Ours", base_url: "http://127.0.0.1:1", api_key: "k" });
    await seedDify(deps("http://127.0.0.1:8028"));
    copy.catalog.drop();
    expect(await copy.catalog.difyApps()).to.deep.equal([]);
  });
});
