import { Runtime } from "@temporalio/worker";

/** Lets the Temporal SDK download its development server into the folder that is the first argument. 0 when it is there. */
const [, , folder] = process.argv;

async function download(downloadDir: string): Promise<void> {
  const runtime = Runtime.instance();
  const server = await runtime.createEphemeralServer({
    type: "dev-server",
    exe: { type: "cached-download", downloadDir, version: "default", ttl: 0, sdkName: "sdk-typescript", sdkVersion: "1.24.0" },
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
}

try {
  if (!folder) throw new Error("usage: node download.js <folder>");
  await download(folder);
  process.exit(0);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
