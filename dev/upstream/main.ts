import { once } from "node:events";
import { createUpstream } from "./server.ts";

/** The demo upstream. PORT, HOST, DEMO_UPSTREAM_KEY (any key unless set) and DEMO_UPSTREAM_PACE_MS (between words). */
const host = process.env["HOST"] || "127.0.0.1";
const port = Number(process.env["PORT"] || 8027);
const server = createUpstream({
  key: process.env["DEMO_UPSTREAM_KEY"] || undefined,
  paceMs: Number(process.env["DEMO_UPSTREAM_PACE_MS"] || 10),
});
server.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
server.listen(port, host);
await once(server, "listening");
console.log(`demo upstream on http://${host}:${port}/v1`);

function stop(): void {
  server.close(() => process.exit(0));
  server.closeAllConnections();
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
