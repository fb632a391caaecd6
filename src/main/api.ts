import { loadConfig } from "../config/index.ts";
import { createHttpServer } from "../http/server.ts";
import { serveUpgrades } from "../http/upgrade.ts";
import { createApi } from "./api-app.ts";
import { exitOnConfigError } from "./config-error.ts";
import { listen } from "./listen.ts";
import { serveMetrics } from "./metrics-server.ts";
import { loadEnv } from "./load-env.ts";
import { createPlatform } from "./platform.ts";
import { onShutdown } from "./shutdown.ts";

/** The api process: relay, REST, callbacks, documents, operators' pages. Any number of copies. */
loadEnv();
const config = exitOnConfigError(() => loadConfig());
const platform = await createPlatform(config, "api");
let stopping = false;
const api = await createApi(platform, () => stopping);

const server = createHttpServer(api.app);
serveUpgrades(server, api.upgrades);
await listen(server, config);
const endMetrics = await serveMetrics(platform);
platform.log.info({ port: config.PORT }, "the api listens");

onShutdown({
  log: platform.log,
  flushReports: platform.flushReports,
  limitMs: config.SHUTDOWN_GRACE + 15_000,
  async stop() {
    stopping = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    await api.stop(config.SHUTDOWN_GRACE);
    server.closeAllConnections();
    await closed;
    endMetrics();
    await platform.close();
  },
});
