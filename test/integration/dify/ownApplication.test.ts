import { readFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { projectRoot } from "../../../src/platform/root.ts";
import { messageEnd, signed, type MessageEnd } from "../../support/dify.ts";
import { useStack } from "../../support/stack.ts";
import { silent } from "../../support/usage.ts";
import { ownApplication } from "./ownApplication.ts";
import { startDify, type DifyRig } from "./rig.ts";

describe("Dify's webhook in an application of one's own", function () {
  this.timeout(30_000);
  const places = useStack();
  let rig: DifyRig;
  let own: Awaited<ReturnType<typeof ownApplication>>;
  let server: http.Server;
  const accounts = new Map<string, { userId: string; walletId: bigint; tier: string }>();

  before(async () => {
    rig = await startDify(places.databaseUrl);
    await rig.model("gpt-4");
    own = await ownApplication(places.databaseUrl, silent, async (ids) => ids.flatMap((id) => accounts.get(id) ?? []));
    own.app.post("/echo", (req, res) => void res.json(req.body));
    server = http.createServer(own.app).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await own.stop();
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
    await rig.close();
  });

  /** An account that only the application knows. */
  async function account(): Promise<{ userId: string; walletId: bigint; tier: string }> {
    const userId = uuidv7();
    const walletId = await rig.ledger.ensureWallet(rig.pool, { type: "user", id: userId });
    await rig.credit({ userId, walletId }, 1_000);
    const made = { userId, walletId, tier: "free" };
    accounts.set(userId, made);
    return made;
  }
  const post = (to: string, body: string, headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${to}`, { method: "POST", headers, body });
  async function send(body: MessageEnd): Promise<{ status: number; body: Record<string, unknown> }> {
    const raw = JSON.stringify(body);
    const answer = await post("/hooks/dify", raw, signed(raw, { key: "a-key-of-16-or-more", secret: "a-secret-of-16-or-more" }));
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  }

  it("is mounted as its document shows", () => {
    const example = readFileSync(path.join(projectRoot, "test/integration/dify/ownApplication.ts"), "utf8").replaceAll(
      "../../../src/",
      "./src/",
    );
    expect(readFileSync(path.join(projectRoot, "docs/dify-webhook.md"), "utf8")).to.contain(`\`\`\`ts\n${example}\`\`\`\n`);
  });

  it("charges that application's accounts, also for messages that come late, beside its own routes", async () => {
    const ada = await account();
    for (const minutes of [0, 60]) {
      const timestamp = new Date(Date.now() - minutes * 60_000).toISOString();
      const answer = await send(messageEnd({ user_id: ada.userId, timestamp }));
      expect(answer.status).to.equal(200);
      expect(answer.body["data"]).to.include({ pointsDeducted: 93, tokensUsed: 2_300 });
    }
    expect((await rig.ledger.balance(ada.walletId)).total).to.equal(814n * MICRO);
    const echo = await post("/echo", '{"a":1}', { "content-type": "application/json" });
    expect(await echo.json()).to.deep.equal({ a: 1 });
  });

  it("charges nobody for a total that is not the sum of its parts, where nothing is said of it", async () => {
    const ada = await account();
    expect((await send(messageEnd({ user_id: ada.userId, total_tokens: 2_301 }))).status).to.equal(400);
    expect((await rig.ledger.balance(ada.walletId)).total).to.equal(1_000n * MICRO);
  });
});
