import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { expect } from "chai";
import pg from "pg";
import { compiledFolder } from "../../../src/main/launcher/node-parts.ts";
import type { Endpoints } from "../../../src/main/launcher/endpoints.ts";
import { readJson } from "../../../src/main/launcher/files.ts";
import { isAlive, type ProcessIdentity } from "../../../src/main/launcher/processes.ts";
import { destroyRemains } from "../../../src/main/launcher/ending.ts";
import { runFolder } from "../../support/infra.ts";
import { atEnd, waitFor } from "../../support/stack.ts";

interface Launcher {
  process: ChildProcess;
  said(): string;
  ready(): Promise<Endpoints>;
  ended(): Promise<number | null>;
}

const script = path.join(compiledFolder, "test/integration/launcher/launcher.process.js");

function launch(dataDir: string, parts: string, ...more: string[]): Launcher {
  const child = spawn(process.execPath, [script, dataDir, parts, ...more], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()));
  const exit = once(child, "exit") as Promise<[number | null]>;
  return {
    process: child,
    said: () => output,
    ended: async () => (await exit)[0],
    async ready() {
      await waitFor(() => output.includes("is ready after"), { timeoutMs: 30_000, message: () => `the launcher; it said\n${output}` });
      return readJson<Endpoints>(path.join(dataDir, "endpoints.json"))!;
    },
  };
}

function processesOf(dataDir: string): ProcessIdentity[] {
  const folder = path.join(dataDir, "run");
  return readdirSync(folder).map((name) => readJson<ProcessIdentity>(path.join(folder, name))!);
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

describe("npm start", () => {
  let dataDir: string;
  let folders = 0;

  beforeEach(() => {
    const mine = path.join(runFolder(), `life-${++folders}`);
    dataDir = mine;
    atEnd(() => destroyRemains(mine));
  });

  it("writes its addresses for this user only and removes them at Ctrl-C, with all that it started and nothing else", async () => {
    const other = launch(`${dataDir}-other`, "redis");
    await other.ready();
    const launcher = launch(dataDir, "postgres,redis,inbox");
    await launcher.ready();
    const file = path.join(dataDir, "endpoints.json");
    for (const name of [file, path.join(dataDir, "secrets.json")]) expect(statSync(name).mode & 0o777, name).to.equal(0o600);
    const started = processesOf(dataDir);
    expect(started).to.have.length(3);
    launcher.process.kill("SIGINT");
    expect(await launcher.ended()).to.equal(0);
    expect(started.filter(isAlive)).to.deep.equal([]);
    expect(existsSync(file)).to.equal(false);
    expect(processesOf(`${dataDir}-other`).every(isAlive)).to.equal(true);
    other.process.kill("SIGTERM");
    expect(await other.ended()).to.equal(0);
  });

  it("continues with the same data, secrets and ports at the second start", async () => {
    const first = launch(dataDir, "postgres");
    const before = await first.ready();
    await query(before.database_url!, "CREATE TABLE kept AS SELECT 42 AS answer");
    first.process.kill("SIGINT");
    await first.ended();
    const second = launch(dataDir, "postgres");
    const after = await second.ready();
    expect(after).to.deep.equal(before);
    expect(await query(after.database_url!, "SELECT answer FROM kept")).to.deep.equal([{ answer: 42 }]);
    second.process.kill("SIGINT");
    await second.ended();
  });

  it("says so and ends with 1 when it already runs, and leaves the running one alone", async () => {
    const first = launch(dataDir, "redis");
    await first.ready();
    const second = launch(dataDir, "redis");
    expect(await second.ended()).to.equal(1);
    expect(second.said()).to.contain(`already runs with the data in ${dataDir} (process ${first.process.pid})`);
    expect(existsSync(path.join(dataDir, "endpoints.json"))).to.equal(true);
    expect(processesOf(dataDir).every(isAlive)).to.equal(true);
    first.process.kill("SIGINT");
    expect(await first.ended()).to.equal(0);
  });

  it("copes with an earlier launcher that was killed: what that one left is ended and the data is there", async () => {
    const first = launch(dataDir, "postgres,redis,inbox");
    const before = await first.ready();
    await query(before.database_url!, "CREATE TABLE kept AS SELECT 42 AS answer");
    const orphans = processesOf(dataDir);
    first.process.kill("SIGKILL");
    await first.ended();
    expect(orphans.every(isAlive)).to.equal(true);
    const second = launch(dataDir, "postgres,redis,inbox");
    const after = await second.ready();
    expect(orphans.filter(isAlive)).to.deep.equal([]);
    expect(second.said()).to.contain("left by an earlier start");
    expect(await query(after.database_url!, "SELECT answer FROM kept")).to.deep.equal([{ answer: 42 }]);
    second.process.kill("SIGINT");
    await second.ended();
  });

  it("takes the next free port when the usual one is taken, and says so", async () => {
    const blocker = http.createServer().listen(8025, "127.0.0.1");
    // Somebody else may have it already, which serves as well.
    await Promise.race([once(blocker, "listening"), once(blocker, "error")]).catch(() => undefined);
    const launcher = launch(dataDir, "inbox", "usual");
    const { inbox } = await launcher.ready();
    const port = Number(new URL(inbox!).port);
    expect(port).to.be.greaterThan(8025);
    expect(launcher.said()).to.contain(`port 8025 is taken, using ${port}`);
    launcher.process.kill("SIGINT");
    await launcher.ended();
    blocker.close();
  });

  it("ends at once, with nothing left behind, when it is stopped while it starts", async () => {
    const launcher = launch(dataDir, "postgres,redis");
    await waitFor(() => launcher.said().includes("redis      ready"), { timeoutMs: 20_000, message: "redis" });
    const started = processesOf(dataDir);
    launcher.process.kill("SIGTERM");
    expect(await launcher.ended()).to.equal(0);
    expect(started.filter(isAlive)).to.deep.equal([]);
    expect(readdirSync(path.join(dataDir, "run"))).to.deep.equal([]);
  });
});
