import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { atEnd, waitFor } from "../../support/stack.ts";

/** The sandbox of the payment provider, as a process of its own. */

export const PID = "1001";
export const KEY = "test-key-of-the-merchant";
const built = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../..");

export interface Sandbox {
  url: string;
  pay(
    orderNo: string,
    mode: string,
    more?: object,
  ): Promise<{ deliveries: { status: number; body: string; params: Record<string, string> }[] }>;
  stop(): void;
}

/** Starts the sandbox as a process. `env` adds to what it is told. */
export async function startSandbox(env: Record<string, string> = {}): Promise<Sandbox> {
  const child: ChildProcess = spawn(process.execPath, [path.join(built, "dev/sandbox/main.js")], {
    env: { PATH: process.env["PATH"] ?? "", PORT: "0", EPAY_PID: PID, EPAY_KEY: KEY, RETRY_FACTOR: "100", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = () => void child.kill();
  atEnd(stop);
  let said = "";
  child.stdout!.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const url = await waitFor(() => /http:\/\/\S+/.exec(said)?.[0], { message: "the sandbox" });
  return {
    url,
    stop,
    async pay(orderNo, mode, more = {}) {
      const response = await fetch(`${url}/orders/${orderNo}/pay`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ mode, ...more }),
      });
      if (response.status !== 200) throw new Error(`sandbox: ${response.status} ${await response.text()}`);
      return (await response.json()) as Awaited<ReturnType<Sandbox["pay"]>>;
    },
  };
}
