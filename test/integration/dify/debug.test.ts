import type http from "node:http";
import type { AddressInfo } from "node:net";
import { Writable } from "node:stream";
import { expect } from "chai";
import express from "express";
import { createLogger } from "../../../src/platform/logger.ts";
import { difyWebhookRouter } from "../../../src/usage/dify/index.ts";
import { signed, WEBHOOK_KEY, WEBHOOK_SECRET } from "../../support/dify.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { message, startDify, type DifyRig } from "./rig.ts";

describe("the webhook's log while its trouble is looked for", () => {
  const places = useStack();
  let rig: DifyRig;
  let server: http.Server;
  let text = "";

  before(async () => {
    rig = await startDify(places.databaseUrl);
    await rig.model("gpt-4");
    const to = new Writable({
      write(chunk: Buffer, _encoding, done) {
        text += chunk.toString();
        done();
      },
    });
    const log = createLogger({ level: "info", name: "test", to });
    const app = express();
    app.use("/debug", difyWebhookRouter({ ...rig.webhook, log, debug: true }));
    app.use("/quiet", difyWebhookRouter({ ...rig.webhook, log }));
    server = app.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await rig.close();
  });

  async function post(path: string, raw: string, headers = signed(raw)) {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
    const { status } = await fetch(url, { method: "POST", headers, body: raw });
    return { status, signature: headers["x-signature"]! };
  }
  const lines = () =>
    text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it("has what came, what it cost and what was left, without key, signature or secret", async () => {
    const ada = await rig.person(100);
    const body = message({ user_id: ada.userId });
    const raw = JSON.stringify(body);
    const { status, signature } = await post("/debug", raw);
    expect(status).to.equal(200);
    const [line] = await waitFor(() => (lines().length > 0 ? lines() : undefined));
    expect(line).to.include({ status: 200, cost: "93", balance_after: "7", reason: null });
    expect(line!["dify"]).to.include({ user: ada.userId, model: "gpt-4", inputTokens: 1_500, outputTokens: 800 });
    expect(line!["dify"]).to.include({ messageId: body.data["message_id"], requestId: body.request_id });

    const forged = await post("/debug", raw, signed(raw, { secret: "not-the-secret-0000" }));
    expect(forged.status).to.equal(401);
    const refused = await waitFor(() => lines()[1]);
    expect(refused).to.include({ reason: "forged" });
    for (const secret of [WEBHOOK_KEY, WEBHOOK_SECRET, signature, forged.signature]) expect(text).to.not.contain(secret);
  });

  it("has nothing of a delivery when that is not asked for", async () => {
    const before = lines().length;
    const ada = await rig.person(100);
    expect((await post("/quiet", JSON.stringify(message({ user_id: ada.userId })))).status).to.equal(200);
    expect(lines()).to.have.length(before);
  });
});
