import { expect } from "chai";
import express from "express";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { healthRoutes, type Finding, type HealthCheck } from "../../../src/http/health.ts";

interface Readiness {
  status: string;
  parts: Record<
    string,
    { status: string; latency_ms: number; error?: string; items?: { name: string; state: string; latency_ms: number | null }[] }
  >;
}

async function readyz(checks: HealthCheck[], headers: Record<string, string> = {}): Promise<{ code: number; body: Readiness }> {
  const route = healthRoutes(checks, { stopping: () => false, access: { token: undefined, ownPort: false } }).find(
    ({ path }) => path === "/readyz",
  )!;
  const app = express();
  app.get("/readyz", route.handler as express.RequestHandler);
  const server = http.createServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/readyz`, { headers });
    return { code: response.status, body: (await response.json()) as Readiness };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const well: HealthCheck = { name: "postgres", required: true, check: async () => undefined };
const providers = (finding: Finding): HealthCheck => ({ name: "providers", required: false, check: async () => finding });
const broken = providers({
  status: "degraded",
  items: [
    { name: "one", state: "closed", latencyMs: 12.34 },
    { name: "two", state: "open", latencyMs: undefined },
  ],
});

describe("/readyz", () => {
  it("is ready with every part up, each with its latency", async () => {
    const { code, body } = await readyz([well]);
    expect([code, body.status, body.parts["postgres"]!.status]).to.deep.equal([200, "ready", "up"]);
    expect(body.parts["postgres"]!.latency_ms).to.be.a("number");
  });

  it("a provider that is out of order degrades it and is no reason to take the copy out", async () => {
    const { code, body } = await readyz([well, broken]);
    expect([code, body.status]).to.deep.equal([200, "degraded"]);
    expect(body.parts["providers"]!.items).to.deep.equal([
      { name: "one", state: "closed", latency_ms: 12.3 },
      { name: "two", state: "open", latency_ms: null },
    ]);
  });

  it("providers that are all out of order do not take the copy out either", async () => {
    const { code, body } = await readyz([well, providers({ status: "down", items: [] })]);
    expect([code, body.status]).to.deep.equal([200, "degraded"]);
  });

  it("who comes from outside is not told what the providers are", async () => {
    const { body } = await readyz([well, broken], { "x-forwarded-for": "203.0.113.9" });
    expect(body.parts["providers"]!.status).to.equal("degraded");
    expect(body.parts["providers"]).not.to.have.property("items");
  });

  it("a required part that fails takes the copy out, and why is not told", async () => {
    const { code, body } = await readyz([{ ...well, check: () => Promise.reject(new Error("password of db.internal is wrong")) }]);
    expect([code, body.status]).to.deep.equal([503, "unavailable"]);
    expect(JSON.stringify(body)).not.to.contain("db.internal");
  });
});
