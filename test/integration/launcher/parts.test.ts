import path from "node:path";
import { expect } from "chai";
import { Redis } from "ioredis";
import pg from "pg";
import { createStorage } from "../../../src/platform/storage/index.ts";
import { type Stack, startStack, waitFor } from "../../support/stack.ts";

async function count(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("CREATE TABLE IF NOT EXISTS seen (at timestamptz DEFAULT now())");
    await client.query("INSERT INTO seen DEFAULT VALUES");
    const { rows } = await client.query<{ count: string }>("SELECT count(*) FROM seen");
    return rows[0]!.count;
  } finally {
    await client.end();
  }
}

async function increment(url: string): Promise<number> {
  const redis = new Redis(url);
  try {
    return await redis.incr("seen");
  } finally {
    redis.disconnect();
  }
}

/** An object in the stack's S3 server. */
async function keptObject({ endpoints }: Stack) {
  const storage = createStorage({
    endpoint: endpoints.s3!,
    region: "us-east-1",
    bucket: endpoints.s3_keys.bucket,
    accessKeyId: endpoints.s3_keys.access_key,
    secretAccessKey: endpoints.s3_keys.secret_key,
    pathStyle: true,
    checksums: true,
    createBucket: true,
  });
  const key = "users/kept";
  await storage.objects.putEmpty(key, "text/plain");
  return { storage, key };
}

describe("the parts of a stack", () => {
  let stack: Stack;

  before(async () => {
    stack = await startStack({ parts: ["postgres", "redis", "temporal", "inbox", "s3"] });
  });
  after(() => stack.destroy());

  it("come back on the same port and data after stop, and after kill -9", async () => {
    const { database_url: database, redis_url: redis } = stack.endpoints;
    expect(await count(database!)).to.equal("1");
    expect(await increment(redis!)).to.equal(1);
    for (const name of ["postgres", "redis"] as const) {
      await stack.part(name).stop();
      expect(stack.part(name).pid).to.equal(undefined);
      await stack.part(name).start();
    }
    expect(await count(database!)).to.equal("2");
    expect(await increment(redis!)).to.equal(2);
    const { storage, key } = await keptObject(stack);
    for (const name of ["postgres", "redis", "temporal", "inbox", "s3"] as const) {
      const before = stack.part(name).pid;
      await stack.part(name).kill("SIGKILL");
      await stack.part(name).start();
      expect(stack.part(name).pid).to.be.a("number").and.not.equal(before);
    }
    expect(await count(database!)).to.equal("3");
    expect(await storage.objects.head(key)).to.include({ size: 0, contentType: "text/plain" });
    // What Redis wrote within its last second may be lost: everything in it can be rebuilt.
    expect(await increment(redis!)).to.be.greaterThan(0);
  });

  it("are started again when they die by themselves", async () => {
    for (const name of ["redis", "inbox"] as const) {
      const before = stack.part(name).pid!;
      process.kill(before, "SIGKILL");
      await waitFor(() => stack.part(name).pid !== undefined && stack.part(name).pid !== before, { message: `${name} to come back` });
    }
    await waitFor(() => increment(stack.endpoints.redis_url!));
    await waitFor(async () => (await fetch(`${stack.endpoints.inbox}/healthz`)).ok);
  });

  it("say what is wrong when one cannot be had", async () => {
    const problem = (env: NodeJS.ProcessEnv) => startStack({ parts: ["postgres", "redis"], env }).then(() => "started", String);
    expect(await problem({ TOLLKEEPER_POSTGRES_BIN: "/nowhere" })).to.contain("set DATABASE_URL=");
    expect(await problem({ DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" })).to.contain(
      "DATABASE_URL names a database that cannot be used",
    );
    expect(await problem({ REDIS_URL: "redis://127.0.0.1:1" })).to.contain("REDIS_URL names a server that does not answer");
    const far = startStack({ parts: ["s3"], env: { S3_ENDPOINT: "http://127.0.0.1:1" } });
    expect(await far.catch(String)).to.contain("S3_ENDPOINT names a server that does not answer");
  });

  it("go on without a file storage where none can be had", async () => {
    const { PATH } = process.env;
    process.env["PATH"] = "/nowhere";
    try {
      const none = await startStack({ parts: ["inbox", "s3"], env: { XDG_CACHE_HOME: path.join(stack.dataDir, "no-cache") } });
      expect(none.endpoints).to.not.have.property("s3");
      expect((await fetch(`${none.endpoints.inbox}/healthz`)).status).to.equal(200);
      await none.destroy();
    } finally {
      process.env["PATH"] = PATH;
    }
  });
});
