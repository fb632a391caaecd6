import { expect } from "chai";
import type { z } from "zod";
import { useStack } from "../../support/stack.ts";
import { userAdminRoutes } from "../../../src/admin/users.ts";
import { identityRig, type Rig } from "./harness.ts";

/** No field of ours takes these. */
const IMPOSSIBLE: [string, unknown][] = [
  ["a negative number", -1],
  ["1e30", 1e30],
  ["a NUL character", "a\u0000b"],
  ["an object", { $ne: null }],
  ["a list of lists", [[[]]]],
  ["100,000 characters", "x".repeat(100_000)],
];
/** Some texts may be these, some fields may be cleared. */
const ODD: [string, unknown][] = [
  ["null", null],
  ["a boolean", true],
  ["NaN as text", "NaN"],
  ["an SQL injection", "'; DROP TABLE users; --"],
  ["a header injection", "a\r\nSet-Cookie: owned=1"],
  ["a lone surrogate", "\ud800"],
];
const NOBODY = "00000000-0000-4000-8000-000000000000";

describe("wrong input on the routes of identity", () => {
  const places = useStack();
  let rig: Rig;
  before(async () => {
    rig = await identityRig(places, { temporalAddress: "127.0.0.1:1" });
  });
  after(() => rig.close());

  /** A fresh sign-in each time: some of the routes end sessions. */
  const token = async () => {
    const answer = await rig.call<{ access_token: string }>("POST", "/api/auth/login", {
      email: rig.admin.email,
      password: "a first password 1",
    });
    return answer.body.data.access_token;
  };

  it("every field refuses what it cannot be, and says its name", async () => {
    const routes = [...rig.identity.routes, ...userAdminRoutes(rig.identity.users)].filter((route) => route.body && route.kind === "json");
    expect(routes.length).to.be.greaterThan(12);
    const auth = await token();
    for (const route of routes) {
      const path = route.path.replace(/:\w+/g, NOBODY);
      const fields = Object.keys((route.body as z.ZodObject).shape);
      for (const field of [...fields, "surprise"]) {
        for (const [what, value] of [...IMPOSSIBLE, ...ODD]) {
          // A text there is right, and signing out would end the very session that asks.
          if (route.path.endsWith("/logout") && !IMPOSSIBLE.some(([impossible]) => impossible === what) && field !== "surprise") continue;
          const answer = await rig.call(route.method.toUpperCase(), path, { [field]: value }, auth);
          const where = `${route.method} ${path} ${field}: ${what} → ${answer.status} ${answer.body.message}`;
          expect(answer.status, where).to.be.below(500);
          expect(answer.headers.get("set-cookie"), where).to.equal(null);
          if (!IMPOSSIBLE.some(([impossible]) => impossible === what) && field !== "surprise") continue;
          expect(answer.status, where).to.equal(400);
          expect(JSON.stringify(answer.body), where).to.contain(field);
        }
      }
    }
  }).timeout(120_000);

  it("paths and queries refuse what they cannot be", async () => {
    const auth = await token();
    const routes = [...rig.identity.routes, ...userAdminRoutes(rig.identity.users)];
    for (const route of routes.filter((candidate) => candidate.params)) {
      for (const id of ["x", "-1", "1e30", "%00", "%27%20OR%201%3D1", "9".repeat(40), NOBODY]) {
        const answer = await rig.call(route.method.toUpperCase(), route.path.replace(":id", id), route.body ? {} : undefined, auth);
        expect(answer.status, `${route.method} ${route.path} ${id}`).to.be.within(400, 499);
      }
    }
    for (const route of routes.filter((candidate) => candidate.query)) {
      for (const field of [...Object.keys((route.query as z.ZodObject).shape), "surprise"]) {
        for (const value of ["", "-1", "1e30", "NaN", "a%00b", "%0d%0aX: y", "x".repeat(5_000)]) {
          const answer = await rig.call("GET", `${route.path}?${field}=${value}`, undefined, auth);
          const where = `${route.path}?${field}=${value.slice(0, 20)} → ${answer.status} ${answer.body.message}`;
          expect(answer.status, where).to.be.within(200, 499);
          if (answer.status === 400) expect(JSON.stringify(answer.body), where).to.contain(field);
        }
      }
    }
  });

  it("bad credentials in a header are 401, whatever they look like", async () => {
    for (const headers of [
      { authorization: "Bearer " },
      { authorization: "Basic YTpi" },
      { authorization: `Bearer ${"x".repeat(6_000)}` },
      { authorization: "Bearer sk-tk-" },
      { "x-api-key": "'; --" },
      { authorization: "Bearer a.b.c" },
    ] as Record<string, string>[]) {
      expect((await rig.call("GET", "/api/user/me", undefined, undefined, headers)).status, JSON.stringify(headers).slice(0, 60)).to.equal(
        401,
      );
    }
    expect((await rig.call("GET", "/api/user/me")).status).to.equal(401);
  });
});
