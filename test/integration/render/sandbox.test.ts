import { expect } from "chai";
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import {
  createSandbox,
  findProgram,
  NotIsolated,
  NotTaken,
  takeFile,
  type Ending,
  type Sandbox,
} from "../../../src/render/process/index.ts";
import type { Program } from "../../../src/render/process/command.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { waitFor } from "../../support/waitFor.ts";

const MIB = 2 ** 20;
const log = createLogger({ level: "silent", name: "test" });
const limits = { wallMs: 20_000, cpuSeconds: 60, memory: 1_024 * MIB, output: 64 * MIB, files: 500, processes: 40, boundAddresses: true };

interface Ran {
  ending: Ending;
  lines: string[];
  folder: string;
}

describe("untrusted programs", function () {
  this.timeout(60_000);
  let folder: string;
  let sandbox: Sandbox;
  /** False on machines without bubblewrap: there it is tested that nothing runs where isolation is required. */
  let apart: boolean;

  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "tollkeeper-sandbox-"));
    // Programs that run as another user find their folder in it.
    await chmod(folder, 0o755);
    sandbox = createSandbox({ folder: path.join(folder, "rooms"), required: false, log });
    apart = (await sandbox.isolation()).kind === "full";
  });
  after(() => rm(folder, { recursive: true, force: true }));
  afterEach(async () => expect(await readdir(path.join(folder, "rooms"))).to.deep.equal([]));

  async function run(
    program: Partial<Program>,
    options: { signal?: AbortSignal; onLine?: (line: string) => void; after?: (folder: string) => Promise<void>; in?: Sandbox } = {},
  ): Promise<Ran> {
    const { signal = new AbortController().signal } = options;
    return (options.in ?? sandbox).enter(async (inside) => {
      const lines: string[] = [];
      const onLine = (line: string) => {
        lines.push(line);
        options.onLine?.(line);
      };
      const whole = { file: await realpath("/bin/sh"), arguments: () => [], limits, ...program };
      const ending = await inside.run(whole, { signal, onLine });
      await options.after?.(inside.folder);
      return { ending, lines, folder: inside.folder };
    });
  }
  const shell = (script: string, more: Partial<Program> = {}, options: Parameters<typeof run>[1] = {}) =>
    run({ arguments: ({ work }) => ["-c", `cd ${work} && ${script}`], ...more }, options);
  const javascript = (script: string, more: Partial<Program> = {}) =>
    run({ file: process.execPath, arguments: () => ["-e", script], ...more });

  /** How it is where programs cannot be kept apart: none runs. */
  async function refusedHere(): Promise<void> {
    const strict = createSandbox({ folder, required: true, log });
    const answer = await strict.enter(async () => "ran").catch((error: unknown) => error);
    expect(answer).to.be.instanceOf(NotIsolated);
  }

  /** Processes of this machine whose command line has a word. */
  async function running(word: string): Promise<number> {
    const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
    return lines.filter((line) => line.includes(word)).length;
  }

  it("write to their folder, and what they left goes with it", async () => {
    const {
      ending,
      lines,
      folder: own,
    } = await shell("echo picture > picture && mkdir shut && touch shut/x && chmod 0 shut && cat picture");
    expect(ending).to.deep.equal({ kind: "exited", code: 0 });
    expect(lines).to.deep.equal(["picture"]);
    expect(await stat(own).catch(() => undefined)).to.equal(undefined);
  });

  it("write nowhere else, and read nothing of this machine's but its programs", async () => {
    if (!apart) return refusedHere();
    const mark = `evil-${uuidv7()}`;
    const places = ["/tmp", "/var/tmp", "/dev/shm", "/usr", "/etc", "/", "/dev", "/given", folder, os.homedir(), process.cwd()];
    const { ending } = await shell(places.map((place) => `touch ${place}/${mark} 2>/dev/null`).join("; ") + "; exit 3");
    expect(ending).to.deep.equal({ kind: "exited", code: 3 });
    for (const place of places) expect(await stat(path.join(place, mark)).catch(() => undefined), place).to.equal(undefined);
    const secrets = ["/etc/passwd", "/etc/shadow", "/proc/1/environ", path.join(process.cwd(), "package.json"), folder];
    const seen = await shell(
      secrets.map((file) => `cat ${file} 2>/dev/null; find ${file} -mindepth 1 2>/dev/null`).join("; ") + "; exit 0",
    );
    expect(seen.lines).to.deep.equal([]);
  });

  it("reach no network, neither this machine's nor another", async () => {
    if (!apart) return refusedHere();
    let connections = 0;
    const server = net.createServer(() => (connections += 1)).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const hidden = net.createServer(() => (connections += 1)).listen(`\0tollkeeper-${port}`);
    const script = `const net = require("node:net");
      for (const to of [{ port: ${port}, host: "127.0.0.1" }, { port: 53, host: "8.8.8.8" }, { path: "\\0tollkeeper-${port}" }])
        net.connect(to).on("error", (error) => console.log(error.code)).on("connect", () => console.log("connected"));`;
    const { lines } = await javascript(script);
    server.close();
    hidden.close();
    expect(lines).to.have.length(3);
    expect(lines).to.not.include("connected");
    expect(connections).to.equal(0);
  });

  it("see no secret of ours in their environment", async () => {
    process.env["SECRET_OF_THE_NODE"] = "hunter2";
    const { lines } = await shell("env; cat /proc/self/environ | tr '\\000' '\\n'");
    delete process.env["SECRET_OF_THE_NODE"];
    expect(lines.join("\n")).to.include("LANG=C.UTF-8").and.not.include("hunter2");
    expect(lines.join("\n")).to.not.match(/DATABASE|REDIS|SECRET/);
  });

  /** One that leaves its group can be found where programs are kept apart, and only there. */
  const leaving = (word: string): string => (apart ? `(setsid sleep ${word} &) ;` : "");

  it("end when their time is over, with everything they started, also what left their group", async () => {
    const word = `9${Date.now()}`;
    const { ending } = await shell(`${leaving(word)} sleep ${word} & sleep ${word}`, { limits: { ...limits, wallMs: 1_500 } });
    expect(ending).to.deep.equal({ kind: "limit", limit: "time" });
    await waitFor(async () => (await running(word)) === 0, { timeoutMs: 5_000, message: "all to be gone" });
  });

  it("end when they are not wanted any more, within a second, with everything they started", async () => {
    const word = `8${Date.now()}`;
    const cancel = new AbortController();
    let began = 0;
    const onLine = () => {
      began = Date.now();
      cancel.abort(new Error("cancelled"));
    };
    const failure = await shell(`${leaving(word)} echo ready; sleep ${word}`, {}, { signal: cancel.signal, onLine }).catch(
      (error: Error) => error,
    );
    expect((failure as Error).message).to.equal("cancelled");
    expect(Date.now() - began).to.be.lessThan(3_000);
    await waitFor(async () => (await running(word)) === 0, { timeoutMs: 5_000, message: "all to be gone" });
  });

  it("end when they take too much memory, write too much, make too many files or processes", async () => {
    const grow = "const kept = []; setInterval(() => kept.push(Buffer.alloc(32 * 1024 * 1024, 1)), 20)";
    expect((await javascript(grow, { limits: { ...limits, memory: 256 * MIB } })).ending).to.deep.equal({ kind: "limit", limit: "memory" });
    const many = await shell("while :; do head -c 8000000 /dev/zero > f$((i = i + 1)); done");
    expect(many.ending).to.deep.equal({ kind: "limit", limit: "output" });
    const files = await shell("while :; do : > f$((i = i + 1)); [ $i -gt 600 ] && sleep 30; done");
    expect(files.ending).to.deep.equal({ kind: "limit", limit: "files" });
    const processes = await shell("while [ ${i:-0} -lt 60 ]; do sleep 30 & i=$((i + 1)); done; wait");
    expect(processes.ending).to.deep.equal({ kind: "limit", limit: "processes" });
  });

  it("write no file that is larger than they may write altogether", async () => {
    const sizes: number[] = [];
    const { ending } = await shell(
      "head -c 500000000 /dev/zero > large",
      {},
      {
        after: async (own) => void sizes.push((await stat(path.join(own, "large"))).size),
      },
    );
    expect(ending).to.deep.equal({ kind: "limit", limit: "output" });
    expect(sizes[0]).to.be.at.most(limits.output);
  });

  it("fill no memory of ours by what they print", async () => {
    let lines = 0;
    const before = process.memoryUsage().rss;
    const noisy = await run(
      { arguments: () => ["-c", "yes line & head -c 200000000 /dev/zero | tr '\\000' x; wait"], limits: { ...limits, wallMs: 3_000 } },
      { onLine: () => (lines += 1) },
    );
    expect(noisy.ending).to.deep.equal({ kind: "limit", limit: "time" });
    expect(lines).to.be.at.least(1_000).and.at.most(1_000_001);
    expect(process.memoryUsage().rss - before).to.be.lessThan(400 * MIB);
  });

  it("tell by their end what became of them", async () => {
    expect((await shell("exit 8")).ending).to.deep.equal({ kind: "exited", code: 8 });
    expect((await shell("kill -SEGV $$")).ending).to.deep.equal({ kind: "crashed", signal: "SIGSEGV" });
    expect((await shell("while :; do :; done", { limits: { ...limits, cpuSeconds: 1 } })).ending).to.deep.equal({
      kind: "limit",
      limit: "cpu",
    });
  });

  it("hand over plain files alone: no link to our secrets, no pipe, nothing empty or too large", async () => {
    const answers: string[] = [];
    await shell(
      "ln -s /etc/passwd link; mkfifo pipe; mkdir folder; : > empty; echo 12345 > large; echo ok > good; ln good other; echo fine > plain",
      {},
      {
        async after(own) {
          for (const name of ["link", "pipe", "folder", "empty", "large", "good", "missing", "plain"]) {
            const most = name === "large" ? 3 : 100;
            const taken = await takeFile(path.join(own, name), path.join(folder, "taken"), most).catch((error: unknown) => error);
            answers.push(taken instanceof NotTaken ? taken.message : `${taken as number}`);
          }
        },
      },
    );
    expect(answers).to.deep.equal([
      "nothing was written",
      "what was written is no plain file",
      "what was written is no plain file",
      "what was written is empty",
      "what was written is larger than 0 MiB",
      "what was written is no plain file",
      "nothing was written",
      "5",
    ]);
    expect(await readFile(path.join(folder, "taken"), "utf8")).to.equal("fine\n");
  });

  it("are not run where they cannot be kept apart, unless that is allowed; then their limits hold", async () => {
    const bin = path.join(folder, "bin");
    await mkdir(bin);
    for (const name of ["prlimit", "setpriv"]) {
      const file = await findProgram(name);
      if (file) await symlink(file, path.join(bin, name));
    }
    const before = process.env["PATH"];
    process.env["PATH"] = bin;
    try {
      const [strict, lax] = [true, false].map((required) => createSandbox({ folder: path.join(folder, "rooms"), required, log }));
      const isolation = await strict!.isolation();
      expect(isolation).to.have.property("kind", "limits");
      expect(isolation)
        .to.have.property("why")
        .that.matches(/^(bubblewrap|util-linux) is not installed$/);
      const refused = await strict!.enter(async () => "ran").catch((error: Error) => error);
      expect(refused).to.be.instanceOf(NotIsolated);
      expect((refused as Error).message).to.match(/^renderers cannot be kept apart here: (bubblewrap|util-linux) is not installed$/);
      const { ending } = await shell("while :; do :; done", { limits: { ...limits, wallMs: 1_000 } }, { in: lax! });
      expect(ending).to.deep.equal({ kind: "limit", limit: "time" });
    } finally {
      process.env["PATH"] = before;
    }
  });
});
