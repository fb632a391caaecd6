import pg from "pg";
import { prepare } from "../../../temporal/server.ts";
import type { Environment } from "./environment.ts";
import { givenPart, type Part } from "./part.ts";
import { ask, httpStatus } from "./probes.ts";

/** Parts that the environment names instead of letting the launcher start them. Each is asked once, so that a wrong address is said at once. */

export function givenPostgres(url: string): Part {
  return givenPart("postgres", "DATABASE_URL", async () => {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on("error", () => undefined);
    try {
      await client.connect();
      await client.end();
    } catch (error) {
      throw new Error(`DATABASE_URL names a database that cannot be used: ${(error as Error).message}`, { cause: error });
    }
  });
}

export function givenRedis(url: string): Part {
  return givenPart("redis", "REDIS_URL", async () => {
    const { protocol, hostname, port } = new URL(url);
    if (protocol !== "redis:") return;
    const answer = await ask(hostname, Number(port || 6379), "PING\r\n", 5_000);
    if (!/^(\+PONG|-NOAUTH)/.test(answer)) throw new Error(`REDIS_URL names a server that does not answer: ${hostname}:${port || 6379}`);
  });
}

export function givenS3(url: string): Part {
  return givenPart("s3", "S3_ENDPOINT", async () => {
    if ((await httpStatus(url, 5_000)) === 0) throw new Error(`S3_ENDPOINT names a server that does not answer: ${url}`);
  });
}

export function givenTemporal(env: Environment, namespace: string): Part {
  return givenPart("temporal", "TEMPORAL_ADDRESS", async () => {
    // A managed service is set up by its own means; the worker finds out whether it can be used.
    if (env["TEMPORAL_TLS"] || env["TEMPORAL_API_KEY"]) return;
    try {
      await prepare(env["TEMPORAL_ADDRESS"]!, namespace, 10_000);
    } catch (error) {
      throw new Error(`TEMPORAL_ADDRESS names a server that cannot be used: ${(error as Error).message}`, { cause: error });
    }
  });
}
