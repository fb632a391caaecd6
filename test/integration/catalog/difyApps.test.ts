import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import { createDifyEndpoints } from "../../../dev/dify/endpoints.ts";
import { createUpstream } from "../../../dev/upstream/server.ts";
import { useStack } from "../../support/stack.ts";
import { startCopy, type Copy } from "./support.ts";

const KEY = "app-very-secret-1234567890";

describe("a Dify app as a provider", () => {
  const places = useStack();
  let copy: Copy;
  let dify: Server;
  let base_url: string;

  before(async () => {
    copy = await startCopy({ databaseUrl: places.databaseUrl, redisUrl: places.redisUrl });
    dify = createUpstream({ key: KEY, paceMs: 0, endpoints: createDifyEndpoints() }).listen(0, "127.0.0.1");
    await once(dify, "listening");
    base_url = `http://127.0.0.1:${(dify.address() as AddressInfo).port}`;
  });
  after(async () => {
    dify.closeAllConnections();
    dify.close();
    await copy.stop();
  });

  it("is tested by asking it about itself, which costs nothing, and its key is never shown", async () => {
    const made = await copy.call("POST", "/api/admin/providers", { name: "App", api_format: "dify", base_url, api_key: KEY });
    const { id } = made.body.data;
    const test = (body: object) => copy.call("POST", `/api/admin/providers/${id}/test`, body);
    expect((await test({})).body.data).to.deep.include({ ok: true, models: ["Demo app"] });
    expect((await test({ model: "demo" })).body.data).to.include({ ok: true });
    for (const [change, kind] of [
      [{ api_key: "wrong" }, "authentication"],
      [{ base_url: `${base_url}/elsewhere`, api_key: KEY }, "not_found"],
    ] as const) {
      await copy.call("PATCH", `/api/admin/providers/${id}`, change);
      const { body } = await test({});
      expect(body.data["error"]).to.include({ kind });
      expect(JSON.stringify(body)).to.not.contain(KEY);
    }
  });
});
