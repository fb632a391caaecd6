import { once } from "node:events";
import path from "node:path";
import { createSandboxApp } from "./http.ts";
import { createSender } from "./sender.ts";
import { openStore } from "./store.ts";

/**
 * A payment provider for development and tests, in a process of its own. PORT, HOST, EPAY_PID and EPAY_KEY (the merchant it knows),
 * DATA_DIR when its orders are to outlive the process, RETRY_FACTOR (how much faster than a real gateway it repeats notices),
 * TOPUP_ORDER_TTL (when the shop's orders expire, for late payments), SLOW_MS.
 */
const { env } = process;
const host = env["HOST"] || "127.0.0.1";
const port = Number(env["PORT"] || 8026);
const merchant = { pid: env["EPAY_PID"] ?? "", key: env["EPAY_KEY"] ?? "" };
if (!merchant.pid || !merchant.key) {
  console.error("EPAY_PID and EPAY_KEY: are required");
  process.exit(1);
}

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
function durationMs(text: string): number {
  const match = /^(\d+)(ms|s|m|h|d)$/.exec(text);
  if (!match) throw new Error(`TOPUP_ORDER_TTL: ${text} is not a duration`);
  return Number(match[1]) * UNITS[match[2]!]!;
}

const dataDir = env["DATA_DIR"];
const store = openStore(dataDir ? path.join(dataDir, "sandbox.json") : undefined);
const sender = createSender(store, { factor: Number(env["RETRY_FACTOR"] || 60) });
const app = createSandboxApp({
  store,
  sender,
  merchant,
  orderTtlMs: durationMs(env["TOPUP_ORDER_TTL"] || "30m"),
  slowMs: Number(env["SLOW_MS"] || 20_000),
});
const server = app.listen(port, host);
server.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
await once(server, "listening");
const address = server.address();
console.log(`payment sandbox on http://${host}:${typeof address === "object" && address ? address.port : port}`);

function stop(): void {
  sender.stop();
  server.close();
  server.closeAllConnections();
  process.exit(0);
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
