import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { printer, whileSaying } from "../../../src/main/launcher/report.ts";
import { projectRoot } from "../../../src/platform/root.ts";
import { atEnd } from "../../support/cleanup.ts";
import type { Driver, Seen, Task } from "./seen.ts";

const FOLDER = path.join(projectRoot, "test", "e2e", "sdk", "python");
const REQUIREMENTS = path.join(FOLDER, "requirements.txt");
const NEEDS =
  "The official clients for Python are tested too: that needs `python3` (3.11 or later) with its `venv` module (on Debian the package " +
  `python3-venv), and a package index that pip can reach, once for each version of ${path.relative(projectRoot, REQUIREMENTS)}.`;
const report = printer((text) => void process.stdout.write(text));

/** Runs a program to its end and returns what it printed; throws with what it said when it fails. */
async function run(command: string, args: string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  atEnd(() => void child.kill());
  let said = "";
  let out = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (said += String(chunk)));
  const [code] = (await once(child, "close").catch((error: Error) => [error.message])) as [number | string];
  if (code !== 0) throw new Error(`${NEEDS}\n\`${[command, ...args].join(" ")}\` failed (${code}):\n${said || out}`);
  return out;
}

/**
 * A Python that has the clients: an environment under .data, made once for each version of Python and of the requirements. It is
 * made beside its place and then moved there, so that an interrupted run leaves no half of one. Throws with what is needed.
 */
async function pythonWithClients(): Promise<string> {
  const version = await run("python3", ["--version"]);
  const wanted = createHash("sha256").update(version).update(readFileSync(REQUIREMENTS)).digest("hex").slice(0, 16);
  const place = path.join(projectRoot, ".data", `python-${wanted}`);
  const python = path.join(place, "bin", "python");
  if (existsSync(python)) return python;
  const making = `${place}.making-${process.pid}`;
  await mkdir(path.dirname(place), { recursive: true });
  try {
    await whileSaying(
      report,
      "python",
      () => "making an environment for the official clients",
      async () => {
        await run("python3", ["-m", "venv", making]);
        await run(path.join(making, "bin", "python"), [
          "-m",
          "pip",
          "install",
          "--quiet",
          "--disable-pip-version-check",
          "-r",
          REQUIREMENTS,
        ]);
      },
    );
    // Another run may have been faster; its environment is the same.
    await rename(making, place).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return python;
}

/** A program in Python that does what tasks say, in a process of its own. */
const driven =
  (program: string): Driver =>
  async (tasks) => {
    const child = spawn(await pythonWithClients(), [path.join(FOLDER, program)], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    });
    atEnd(() => void child.kill());
    let said = "";
    child.stderr.on("data", (chunk) => (said += String(chunk)));
    child.stdin.end(tasks.map((task: Task) => `${JSON.stringify(task)}\n`).join(""));
    const seen = new Map<string, Seen>();
    for await (const line of createInterface(child.stdout)) {
      const one = JSON.parse(line) as { id: string; seen: Seen };
      seen.set(one.id, one.seen);
    }
    const missing = tasks.filter(({ id }) => !seen.has(id)).map(({ ask }) => ask);
    if (missing.length > 0) throw new Error(`the clients for Python said nothing of ${missing.join(", ")}:\n${said}`);
    return seen;
  };

/** The official clients for Python. */
export const python = driven("run.py");

/** The same for asyncio. */
export const pythonAsync = driven("run_async.py");

/** What those do, see asynchronous.py: whole answers and streams. */
export const ASYNC_ASKS = new Set(["chat", "chatStream", "response", "responseStream", "message", "messageStream", "messageHelper"]);
