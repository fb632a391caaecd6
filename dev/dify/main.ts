import { once } from "node:events";
import { createUpstream } from "../upstream/server.ts";
import { createDifyEndpoints } from "./endpoints.ts";
import { dify } from "./vendor.ts";

/**
 * A Dify for development. PORT, HOST, DEMO_UPSTREAM_PACE_MS (between words); DIFY_WEBHOOK_URL, DIFY_WEBHOOK_API_KEY and DIFY_WEBHOOK_SECRET for
 * `message_end` webhooks, which a call asks for by `[[webhook:once]]`.
 */
const { env } = process;
const host = env["HOST"] || "127.0.0.1";
const port = Number(env["PORT"] || 8028);
const first = (list: string | undefined): string | undefined => list?.split(",")[0]?.trim();
const webhooks = {
  url: env["DIFY_WEBHOOK_URL"],
  apiKey: first(env["DIFY_WEBHOOK_API_KEY"]),
  secret: first(env["DIFY_WEBHOOK_SECRET"]),
};
const server = createUpstream({
  paceMs: Number(env["DEMO_UPSTREAM_PACE_MS"] || 10),
  endpoints: createDifyEndpoints(webhooks),
  vendor: dify,
});
server.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
server.listen(port, host);
await once(server, "listening");
console.log(`demo Dify on http://${host}:${port}/v1`);

function stop(): void {
  server.close(() => process.exit(0));
  server.closeAllConnections();
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
