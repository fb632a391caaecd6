import { expect } from "chai";
import express, { type Request } from "express";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import type { InsideAccess } from "../../../src/http/insiders.ts";
import { metricsRoute } from "../../../src/http/metricsPage.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createMetrics } from "../../../src/platform/metrics.ts";

const TOKEN = "a-token-of-many-letters";

/** The page as a caller at `peer` meets it. */
async function ask(access: InsideAccess, peer: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
  const route = metricsRoute(createMetrics(), access);
  if (route.kind !== "raw") throw new Error("the metrics are not a raw route");
  const app = express();
  app.get("/metrics", (req, res) => {
    const socket = Object.create(req.socket, { remoteAddress: { value: peer } }) as Request["socket"];
    return route.handler(Object.create(req, { socket: { value: socket } }) as Request, res);
  });
  app.use(errorHandler(createLogger({ level: "silent", name: "test" })));
  const server = http.createServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`, { headers });
    return { status: response.status, text: await response.text() };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe("who may read /metrics", () => {
  const main: InsideAccess = { token: undefined, ownPort: false };
  const own: InsideAccess = { token: undefined, ownPort: true };
  const cases: [string, InsideAccess, string, Record<string, string>, number][] = [
    ["this machine", main, "127.0.0.1", {}, 200],
    ["this machine by IPv6", main, "::1", {}, 200],
    ["this machine on a socket for both", main, "::ffff:127.0.0.1", {}, 200],
    ["a proxy on this machine, for somebody", main, "127.0.0.1", { "x-forwarded-for": "203.0.113.9" }, 403],
    ["a proxy that says Forwarded", own, "10.0.0.2", { forwarded: "for=203.0.113.9" }, 403],
    ["a neighbour on the api's own port", main, "10.1.2.3", {}, 403],
    ["a neighbour on a port for metrics", own, "10.1.2.3", {}, 200],
    ["a neighbour in Docker's network", own, "::ffff:172.18.0.5", {}, 200],
    ["a neighbour by IPv6", own, "fd00::17", {}, 200],
    ["a stranger on a port for metrics", own, "203.0.113.9", {}, 403],
    ["a stranger with the token", { ...main, token: TOKEN }, "203.0.113.9", { authorization: `Bearer ${TOKEN}` }, 200],
    ["a stranger with another token", { ...main, token: TOKEN }, "203.0.113.9", { authorization: "Bearer another-token" }, 401],
    ["this machine without the token that is set", { ...main, token: TOKEN }, "127.0.0.1", {}, 401],
  ];
  for (const [who, access, peer, headers, status] of cases) {
    it(`${who}: ${status}`, async () => {
      expect((await ask(access, peer, headers)).status).to.equal(status);
    });
  }

  it("a refusal says what to do and shows nothing", async () => {
    const { text } = await ask(main, "203.0.113.9");
    expect(text).to.contain("METRICS_TOKEN").and.not.contain("# HELP");
  });
});
