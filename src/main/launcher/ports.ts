import { randomInt } from "node:crypto";
import net from "node:net";
import path from "node:path";
import getPort from "get-port";
import { readJson, writePrivateJson } from "./files.ts";
import type { Reporter } from "./report.ts";

export type PortName =
  | "api"
  | "temporal_ui"
  | "inbox"
  | "sandbox"
  | "upstream"
  | "dify"
  | "s3"
  | "temporal"
  | "postgres"
  | "redis"
  | "smtp"
  | "worker"
  | "worker_metrics";

/** Where people expect things. The others are internal: any free port, the same one next time if it is still free. */
const USUAL: Partial<Record<PortName, number>> = {
  api: 3000,
  temporal_ui: 8233,
  inbox: 8025,
  sandbox: 8026,
  upstream: 8027,
  dify: 8028,
  s3: 8029,
  temporal: 7233,
};
const SPOKEN: ReadonlySet<PortName> = new Set(["api", "temporal_ui", "inbox", "sandbox", "upstream", "dify", "s3"]);

/**
 * Free ports are looked for below the range the system takes outgoing connections' ports from: while a part is down, such a
 * connection could otherwise take its port, or a client could connect to itself.
 */
const LOWEST = 15_000;
const HIGHEST = 32_000;

function* candidates(): Generator<number> {
  for (let n = 0; n < 500; n++) yield randomInt(LOWEST, HIGHEST);
}

function* upFrom(first: number, taken: ReadonlySet<number>): Generator<number> {
  for (let port = first; port < first + 200; port++) if (!taken.has(port)) yield port;
}

/** Whether a port that was ours can be had again. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A free port for something internal. */
export function anyPort(): Promise<number> {
  return getPort({ port: candidates(), reserve: true });
}

/**
 * Chooses a port per name. `usual`: the usual one, or the next free one, which is said; else any free one. Internal ports are
 * remembered in `ports.json` of the data folder. `fixed` ports are taken as they are.
 */
export async function choosePorts(options: {
  names: PortName[];
  usual: boolean;
  fixed?: Partial<Record<PortName, number>>;
  dataDir: string;
  report: Reporter;
}): Promise<Partial<Record<PortName, number>>> {
  const file = path.join(options.dataDir, "ports.json");
  const remembered = readJson<Partial<Record<PortName, number>>>(file) ?? {};
  const chosen: Partial<Record<PortName, number>> = {};
  for (const name of options.names) {
    const fixed = options.fixed?.[name];
    const usual = USUAL[name];
    const previous = remembered[name];
    if (fixed !== undefined) {
      chosen[name] = fixed;
    } else if (options.usual && usual !== undefined) {
      const others = new Set([...Object.values(USUAL).filter((port) => port !== usual), ...Object.values(chosen)]);
      chosen[name] = await getPort({ port: upFrom(usual, others), reserve: true });
      if (chosen[name] !== usual && SPOKEN.has(name)) {
        options.report.line(name.replace("_", " "), `port ${usual} is taken, using ${chosen[name]}`);
      }
    } else {
      chosen[name] = previous !== undefined && (await isFree(previous)) ? previous : await anyPort();
    }
  }
  writePrivateJson(file, { ...remembered, ...chosen });
  return chosen;
}
