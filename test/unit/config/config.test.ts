import { expect } from "chai";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { ConfigError, environmentSchema, loadConfig } from "../../../src/config/index.ts";
import { projectRoot } from "../../../src/platform/root.ts";

const good = {
  NODE_ENV: "development",
  DATABASE_URL: "postgres://u@127.0.0.1/db",
  REDIS_URL: "redis://127.0.0.1:6379",
  TEMPORAL_ADDRESS: "127.0.0.1:7233",
  JWT_SECRETS: `a:${"x".repeat(32)}`,
  HASH_SECRET: "h".repeat(32),
  ENCRYPTION_KEYS: `k:${Buffer.alloc(32, 1).toString("base64")}`,
};

function problemsWith(change: Record<string, string>): string[] {
  try {
    loadConfig({ ...good, ...change });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe("configuration", () => {
  it("is complete with the required variables alone", () => {
    const config = loadConfig(good);
    expect(config.PORT).to.equal(3000);
    expect(config.ACCESS_TOKEN_TTL).to.equal(900_000);
    expect(config.SETTLE_TOLERANCE_CREDITS).to.equal(100_000_000n);
    expect(config.PUBLIC_URL).to.equal("http://127.0.0.1:3000");
  });

  const bad: [string, string][] = [
    ["PORT", "http"],
    ["PORT", "70000"],
    ["PORT", "-1"],
    ["DATABASE_URL", "mysql://x"],
    ["REDIS_URL", "localhost"],
    ["TEMPORAL_ADDRESS", "localhost"],
    ["JWT_SECRETS", "a:short"],
    ["ENCRYPTION_KEYS", "k:YWJj"],
    ["HASH_SECRET", "short"],
    ["ACCESS_TOKEN_TTL", "15"],
    ["WELCOME_CREDITS", "-1"],
    ["WELCOME_CREDITS", "1e3"],
    ["TOPUP_MIN", "1.005"],
    ["UPSTREAM_PRIVATE_ADDRESSES", "yes"],
    ["NODE_ENV", "staging"],
    ["LOG_LEVEL", "loud"],
    ["METRICS_PORT", "0"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"],
    ["OTEL_TRACES_SAMPLER", "sometimes"],
    ["OTEL_TRACES_SAMPLER_ARG", "50"],
    ["METRICS_TOKEN", "short"],
  ];
  for (const [name, value] of bad) {
    it(`names ${name} when it is ${JSON.stringify(value)}`, () => {
      expect(problemsWith({ [name]: value }).join("\n")).to.match(new RegExp(`^${name}: `));
    });
  }

  it("names every missing required variable at once", () => {
    try {
      loadConfig({});
      expect.fail("should have thrown");
    } catch (error) {
      const names = (error as ConfigError).problems.map((problem) => problem.split(":")[0]);
      expect(names).to.include.members(["DATABASE_URL", "REDIS_URL", "TEMPORAL_ADDRESS", "JWT_SECRETS", "HASH_SECRET", "ENCRYPTION_KEYS"]);
    }
  });

  it("refuses to start with Epay switched on and a blank key", () => {
    expect(problemsWith({ EPAY_URL: "http://127.0.0.1/epay", EPAY_PID: "1", EPAY_KEY: "  " }).join()).to.contain("EPAY_KEY");
    expect(problemsWith({ EPAY_URL: "http://127.0.0.1/epay", EPAY_KEY: "k" }).join()).to.contain("EPAY_PID");
  });

  it("has no default secrets in production", () => {
    expect(problemsWith({ NODE_ENV: "production" }).join())
      .to.contain("PUBLIC_URL")
      .and.to.contain("SMTP_URL");
  });

  it("lists in .env.example exactly the variables that are read", async () => {
    const example = await readFile(path.join(projectRoot, ".env.example"), "utf8");
    const listed = [...example.matchAll(/^#([A-Z][A-Z0-9_]+)=/gm)].map((match) => match[1]).sort();
    expect(listed).to.deep.equal(Object.keys(environmentSchema.shape).sort());
  });

  it("gives in .env.example the defaults that are in force", async () => {
    const example = await readFile(path.join(projectRoot, ".env.example"), "utf8");
    const values = Object.fromEntries([...example.matchAll(/^#([A-Z][A-Z0-9_]+)=(.*)$/gm)].map((match) => [match[1], match[2]]));
    for (const [name, schema] of Object.entries(environmentSchema.shape)) {
      const fallback = schema.safeParse(undefined);
      if (!fallback.success || fallback.data === undefined) continue;
      expect(schema.parse(values[name]), name).to.deep.equal(fallback.data);
    }
  });
});
