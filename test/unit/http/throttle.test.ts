import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import express from "express";
import { errorHandler } from "../../../src/http/errorHandler.ts";
import { mountRoutes } from "../../../src/http/mount.ts";
import type { Principal } from "../../../src/http/principal.ts";
import { ok, route } from "../../../src/http/route.ts";
import { createThrottle } from "../../../src/http/throttle.ts";
import { appError, type AppError } from "../../../src/platform/errors.ts";
import { createLogger } from "../../../src/platform/logger.ts";

describe("the throttle of REST routes", () => {
  let nowMs = 0;
  const throttle = (perMinute: number) => {
    const of = createThrottle(perMinute, () => nowMs)!;
    return (ip: string, userId?: string): number | undefined => {
      try {
        of({ principal: userId === undefined ? undefined : ({ userId } as Principal), ip });
        return undefined;
      } catch (error) {
        expect((error as AppError).code).to.equal("rate_limited");
        return (error as AppError).retryAfter;
      }
    };
  };

  it("lets through as many as are allowed at once, then as they refill, and says when", () => {
    const ask = throttle(100);
    for (let n = 0; n < 100; n += 1) expect(ask("198.51.100.7")).to.equal(undefined);
    expect(ask("198.51.100.7")).to.equal(1);
    nowMs += 599;
    expect(ask("198.51.100.7")).to.equal(1);
    nowMs += 1;
    expect(ask("198.51.100.7")).to.equal(undefined);
    expect(ask("198.51.100.7")).to.equal(1);
    nowMs += 60_000;
    for (let n = 0; n < 100; n += 1) expect(ask("198.51.100.7")).to.equal(undefined);
    expect(ask("198.51.100.7")).to.equal(1);
    expect(throttle(2)("a"), "with few it takes longer").to.equal(undefined);
  });

  it("counts whoever is signed in by himself, others by address, IPv6 by /64", () => {
    const ask = throttle(1);
    expect([ask("198.51.100.7"), ask("198.51.100.7"), ask("198.51.100.8")]).to.deep.equal([undefined, 60, undefined]);
    expect([ask("198.51.100.7", "ada"), ask("203.0.113.1", "ada"), ask("198.51.100.7", "ben")]).to.deep.equal([undefined, 60, undefined]);
    expect([ask("2001:db8::1"), ask("2001:db8::2"), ask("2001:db8:0:1::1")]).to.deep.equal([undefined, 60, undefined]);
  });

  it("answers 429 with the time to wait, by person, and by address for those whose token is no good", async () => {
    const routes = [
      route({ method: "get", path: "/api/x", summary: "x", tag: "x", access: "user", responses: {}, handler: async () => ok({}) }),
    ];
    const app = express();
    app.use(
      mountRoutes(routes, {
        idempotency: { once: async (_of, run) => run() },
        throttle: createThrottle(2),
        authenticate: async (req) => {
          const userId = req.get("x-user");
          if (userId === "bad") throw appError("unauthenticated");
          return userId === undefined ? undefined : ({ userId } as Principal);
        },
      }),
    );
    app.use(errorHandler(createLogger({ level: "silent", name: "test" })));
    const server = app.listen(0, "127.0.0.1");
    await once(server, "listening");
    const ask = async (user: string) => {
      const { port } = server.address() as AddressInfo;
      const answer = await fetch(`http://127.0.0.1:${port}/api/x`, { headers: { "x-user": user } });
      return [answer.status, answer.headers.get("retry-after")];
    };
    try {
      expect([await ask("ada"), await ask("ada"), await ask("ada"), await ask("ben")]).to.deep.equal([
        [200, null],
        [200, null],
        [429, "30"],
        [200, null],
      ]);
      expect([await ask("bad"), await ask("bad"), await ask("bad")]).to.deep.equal([
        [401, null],
        [401, null],
        [429, "30"],
      ]);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it("is off for 0", () => expect(createThrottle(0)).to.equal(undefined));
});
