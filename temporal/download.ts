import { Runtime } from "@temporalio/worker";

/** Lets the Temporal SDK download its development server into the folder that is the first argument, then ends. */
const [, , folder] = process.argv;
if (!folder) throw new Error("usage: node download.js <folder>");

const runtime = Runtime.instance();
const server = await runtime.createEphemeralServer({
  type: "dev-server",
  exe: { type: "cached-download", downloadDir: folder, version: "default", ttl: 0, sdkName: "sdk-typescript", sdkVersion: "1.24.0" },
  namespace: "default",
  ip: "127.0.0.1",
  port: null,
  uiPort: null,
  dbFilename: null,
  ui: false,
  log: { format: "pretty", level: "error" },
  extraArgs: [],
});
await runtime.shutdownEphemeralServer(server);
process.exit(0);
