import http from "node:http";
import type { AddressInfo } from "node:net";

/** An event as an error tracker gets it. */
export interface SeenReport {
  level: string;
  message?: string;
  release?: string;
  environment?: string;
  tags: Record<string, string>;
  exception?: { values: { type: string; value: string; stacktrace?: { frames: { filename?: string; function?: string }[] } }[] };
}

export interface Tracker {
  /** For SENTRY_DSN. */
  dsn: string;
  reports: SeenReport[];
  /** Everything that came, as it came. */
  raw: string;
  close(): Promise<void>;
}

/** Takes events by Sentry's protocol: envelopes of lines, each item's header before its payload. */
export async function startTracker(): Promise<Tracker> {
  const state: Pick<Tracker, "reports" | "raw"> = { reports: [], raw: "" };
  const server = http.createServer((req, res) => {
    let body = "";
    req.on("data", (chunk: Buffer) => (body += chunk.toString()));
    req.on("end", () => {
      state.raw += `${req.url}\n${body}\n`;
      const lines = body.split("\n");
      for (let i = 1; i + 1 < lines.length; i += 2) {
        if ((JSON.parse(lines[i]!) as { type: string }).type === "event") state.reports.push(JSON.parse(lines[i + 1]!) as SeenReport);
      }
      res.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(state, {
    dsn: `http://public@127.0.0.1:${(server.address() as AddressInfo).port}/42`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
