import { expect } from "chai";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import os from "node:os";
import path from "node:path";
import { projectRoot } from "../../../src/platform/root.ts";

describe("the demo", () => {
  let folder: string;
  before(() => (folder = mkdtempSync(path.join(os.tmpdir(), "tollkeeper-demo-"))));
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function demo(): Promise<string> {
    const child = spawn(process.execPath, [path.join(projectRoot, "dist/src/main/demo.js")], {
      env: { ...process.env, TOLLKEEPER_DATA: folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
    await once(child, "close");
    return said;
  }

  it("finds what runs with data in another folder", async () => {
    const asked: string[] = [];
    const server = http.createServer((req, res) => {
      asked.push(`${req.method} ${req.url}`);
      res.writeHead(503, { "content-type": "application/json" }).end('{"success":false,"message":"the demo was here"}');
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    writeFileSync(path.join(folder, "endpoints.json"), JSON.stringify({ api, temporal_ui: api, inbox: api, sandbox: api, admin: {} }));
    const said = await demo();
    server.close();
    expect(asked).to.deep.equal(["POST /api/auth/email-code"]);
    expect(said).to.contain("the demo was here");
  }).timeout(20_000);

  it("says how to start it when nothing runs there", async () => {
    rmSync(path.join(folder, "endpoints.json"), { force: true });
    expect(await demo()).to.contain("Nothing is running here");
  }).timeout(20_000);
});
