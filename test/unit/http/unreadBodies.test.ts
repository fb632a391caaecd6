import { expect } from "chai";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { z } from "zod";
import { createApp } from "../../../src/http/app.ts";
import type { Idempotency } from "../../../src/http/idempotency.ts";
import { ok, rawRoute, route } from "../../../src/http/route.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { sendThenRead } from "../../support/sendThenRead.ts";

describe("a request to /api that is refused while it is still being sent", () => {
  let server: http.Server;
  let url: string;

  before(async () => {
    const shared = { method: "post", summary: "x", tag: "x", access: "user" } as const;
    const app = createApp({
      log: createLogger({ level: "silent", name: "test" }),
      routes: [
        route({ ...shared, path: "/api/things", body: z.object({}), responses: { 200: z.object({}) }, handler: async () => ok({}) }),
        rawRoute({ ...shared, path: "/api/raw", responses: {}, handler: (_req, res) => void res.end() }),
      ],
      documented: [],
      relay: () => false,
      pages: [],
      authenticate: async () => undefined,
      idempotency: {} as Idempotency,
      trustProxy: 0,
      corsOrigins: [],
      publicUrl: "http://127.0.0.1",
      version: "test",
    });
    server = http.createServer(app);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  for (const connection of ["keep-alive", "close"]) {
    for (const [what, path, type, status, code] of [
      ["that it is too large", "/api/things", "application/json", 413, "payload_too_large"],
      ["that it is not signed in", "/api/raw", "application/octet-stream", 401, "unauthenticated"],
      ["that it is not signed in, whatever it sends", "/api/things", "text/plain", 401, "unauthenticated"],
      ["that there is no such route", "/api/none", "application/json", 404, "not_found"],
    ] as const) {
      it(`is told ${what} when it has been sent (${connection})`, async () => {
        const said = await sendThenRead(url, { path, headers: { "content-type": type, connection }, framing: "length" });
        expect(said).to.match(new RegExp(`^HTTP/1\\.1 ${status} `));
        expect(said).to.contain(`"code":"${code}"`);
      });
    }
  }
});
