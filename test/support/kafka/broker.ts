import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { printer, whileSaying } from "../../../src/main/launcher/report.ts";
import { projectRoot } from "../../../src/platform/root.ts";
import { atEnd } from "../cleanup.ts";

const FOLDER = path.join(projectRoot, "test", "support", "kafka");
const SOURCES = ["main.go", "go.mod", "go.sum"];
const NEEDS =
  "Kafka is tested against a broker written in Go (test/support/kafka): that needs `go` (1.26 or later) on PATH and a Go module proxy that it " +
  "can reach, once for each version of that folder.";
const report = printer((text) => void process.stdout.write(text));

async function build(to: string): Promise<void> {
  const child = spawn("go", ["build", "-o", to, "."], { cwd: FOLDER, stdio: ["ignore", "ignore", "pipe"] });
  atEnd(() => void child.kill());
  let said = "";
  child.stderr.on("data", (chunk) => (said += String(chunk)));
  const [code] = (await once(child, "close").catch((error: Error) => [error.message])) as [number | string];
  if (code !== 0) throw new Error(`${NEEDS}\n\`go build\` failed (${code}):\n${said}`);
}

/** The broker's program, built once for each version of its sources. Throws with what is needed. */
async function program(): Promise<string> {
  const sources = SOURCES.map((name) => readFileSync(path.join(FOLDER, name)));
  const hash = sources.reduce((hash, source) => hash.update(source), createHash("sha256"));
  const file = path.join(projectRoot, ".data", `kafka-${hash.digest("hex").slice(0, 16)}`, "broker");
  if (existsSync(file)) return file;
  const making = `${path.dirname(file)}.making-${process.pid}`;
  await mkdir(making, { recursive: true });
  try {
    await whileSaying(
      report,
      "kafka",
      () => "building a broker",
      () => build(path.join(making, "broker")),
    );
    // Another run may have been faster.
    await rename(making, path.dirname(file)).catch((error: unknown) => {
      if (!existsSync(file)) throw error;
    });
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return file;
}

export interface Broker {
  /** `host:port`. */
  address: string;
  port: number;
  /** PEM of who signed its certificate; empty without TLS. */
  authority: string;
  stop(): Promise<void>;
}

export interface BrokerOptions {
  /** Any unless told. */
  port?: number;
  tls?: boolean;
  sasl?: { mechanism: "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512"; user: string; password: string };
}

/** Starts a Kafka broker that keeps everything in memory. */
export async function startBroker({ port = 0, tls = false, sasl }: BrokerOptions = {}): Promise<Broker> {
  const args = ["-port", String(port), ...(tls ? ["-tls"] : [])];
  if (sasl) args.push("-sasl", sasl.mechanism, "-user", sasl.user, "-password", sasl.password);
  const child = spawn(await program(), args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  atEnd(() => void child.kill());
  const [line] = (await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    ended.then(([code]) => Promise.reject(new Error(`the broker ended with ${String(code)}`))),
  ])) as [string];
  const { brokers, authority } = JSON.parse(line) as { brokers: string[]; authority: string };
  const address = brokers[0]!;
  return {
    address,
    port: Number(address.slice(address.lastIndexOf(":") + 1)),
    authority,
    async stop() {
      child.kill();
      await ended;
    },
  };
}
