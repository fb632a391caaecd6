import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect } from "chai";
import { partEnvironment, withoutEmpty } from "../../../src/main/launcher/environment.ts";
import { rotateLog } from "../../../src/main/launcher/files.ts";
import { AlreadyRunning, takeLock } from "../../../src/main/launcher/lock.ts";
import { choosePorts } from "../../../src/main/launcher/ports.ts";
import { makeSymlinks } from "../../../src/main/launcher/postgres-binaries.ts";
import { endProcess, identify, isAlive } from "../../../src/main/launcher/processes.ts";
import { silent } from "../../../src/main/launcher/report.ts";
import { loadSecrets } from "../../../src/main/launcher/secrets.ts";

describe("the launcher", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "launcher-test-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("lets one process at a time have a data folder", () => {
    const release = takeLock(folder);
    expect(() => takeLock(folder)).to.throw(AlreadyRunning, String(process.pid));
    release();
    takeLock(folder)();
    expect(readdirSync(folder)).to.deep.equal([]);
  });

  it("takes over the lock of a process that is gone, also when its id belongs to another one by now", () => {
    for (const stale of [{ pid: 2 ** 22 + 1, began: "long ago" }, { pid: process.pid, began: "long ago" }, "cut sh"]) {
      writeFileSync(path.join(folder, "launcher.lock"), typeof stale === "string" ? stale : JSON.stringify(stale));
      takeLock(folder)();
    }
  });

  it("knows a process by when it began and ends exactly that one", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    await once(child, "spawn");
    const identity = identify(child.pid!)!;
    expect(isAlive(identity)).to.equal(true);
    await endProcess({ ...identity, began: "another time" }, { signal: "SIGTERM", graceMs: 1_000 });
    expect(isAlive(identity)).to.equal(true);
    await endProcess(identity, { signal: "SIGTERM", graceMs: 5_000 });
    expect(isAlive(identity)).to.equal(false);
  });

  it("makes secrets once and keeps them from other users", () => {
    const first = loadSecrets(folder);
    expect(loadSecrets(folder)).to.deep.equal(first);
    expect(statSync(path.join(folder, "secrets.json")).mode & 0o777).to.equal(0o600);
  });

  it("lets the environment win, and counts an empty variable as not set", () => {
    const env = withoutEmpty({ EPAY_KEY: "mine", SETTLEMENT_SHARDS: "4", REDIS_URL: "" });
    const chosen = partEnvironment({
      env,
      secrets: loadSecrets(folder),
      ports: { api: 3000, sandbox: 8026, smtp: 1025 },
      addresses: { redisUrl: "redis://a" },
    });
    expect(chosen).to.include({ EPAY_KEY: "mine", SETTLEMENT_SHARDS: "4", REDIS_URL: "redis://a", EPAY_URL: "http://127.0.0.1:8026/epay" });
    expect(chosen).to.include({ SMTP_URL: "smtp://127.0.0.1:1025", PUBLIC_URL: "http://127.0.0.1:3000", NODE_ENV: "development" });
    const given = partEnvironment({
      env: { ADMIN_EMAIL: "me@example.com", EPAY_URL: "https://pay" },
      secrets: loadSecrets(folder),
      ports: { sandbox: 1 },
      addresses: {},
    });
    expect(given).to.not.have.any.keys("ADMIN_PASSWORD", "EPAY_PID", "EPAY_KEY");
  });

  it("remembers the ports it chose", async () => {
    const choose = () => choosePorts({ names: ["postgres", "redis"], usual: true, dataDir: folder, report: silent });
    expect(await choose()).to.deep.equal(await choose());
  });

  it("keeps the logs of three earlier starts", () => {
    const log = path.join(folder, "api.log");
    for (const text of ["1", "2", "3", "4", "5"]) {
      rotateLog(log);
      writeFileSync(log, text);
    }
    expect(readdirSync(folder).map((name) => readFileSync(path.join(folder, name), "utf8"))).to.have.members(["5", "4", "3", "2"]);
  });

  it("makes the links that the embedded Postgres lacks when npm ran no script", () => {
    const native = path.join(folder, "native");
    mkdirSync(path.join(native, "lib"), { recursive: true });
    writeFileSync(path.join(native, "lib", "libpq.so.5.18"), "");
    writeFileSync(
      path.join(native, "pg-symlinks.json"),
      JSON.stringify([{ source: "native/lib/libpq.so.5.18", target: "native/lib/libpq.so.5" }]),
    );
    makeSymlinks(native);
    makeSymlinks(native);
    const link = path.join(native, "lib", "libpq.so.5");
    expect(readlinkSync(link)).to.equal("libpq.so.5.18");
    expect(existsSync(link)).to.equal(true);
  });
});
