import type { PortName } from "./ports.ts";
import type { Secrets } from "./secrets.ts";

export type Environment = Record<string, string>;

export interface Addresses {
  databaseUrl?: string | undefined;
  redisUrl?: string | undefined;
  temporalAddress?: string | undefined;
  temporalUiUrl?: string | undefined;
  /** Of a server of ours. */
  s3Url?: string | undefined;
}

/** An environment without the variables that are set to nothing, which count as not set everywhere. */
export function withoutEmpty(env: NodeJS.ProcessEnv): Environment {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => Boolean(entry[1])));
}

/** What every Node part is started with. What `env` holds wins over what the launcher would choose. */
export function partEnvironment(options: {
  env: Environment;
  secrets: Secrets;
  ports: Partial<Record<PortName, number>>;
  addresses: Addresses;
}): Environment {
  const { env, secrets, ports, addresses } = options;
  const own: NodeJS.ProcessEnv = {
    NODE_ENV: "development",
    DATABASE_URL: addresses.databaseUrl,
    REDIS_URL: addresses.redisUrl,
    TEMPORAL_ADDRESS: addresses.temporalAddress,
    TEMPORAL_UI_URL: addresses.temporalUiUrl,
    JWT_SECRETS: secrets.jwtSecrets,
    HASH_SECRET: secrets.hashSecret,
    ENCRYPTION_KEYS: secrets.encryptionKeys,
    ...(env["ADMIN_EMAIL"] ? {} : { ADMIN_EMAIL: "admin@tollkeeper.local", ADMIN_PASSWORD: secrets.adminPassword }),
    SMTP_URL: ports.smtp === undefined ? undefined : `smtp://127.0.0.1:${ports.smtp}`,
    ...(env["EPAY_URL"] || ports.sandbox === undefined
      ? {}
      : { EPAY_URL: `http://127.0.0.1:${ports.sandbox}/epay`, EPAY_PID: secrets.epayPid, EPAY_KEY: secrets.epayKey }),
    DEMO_UPSTREAM_URL: ports.upstream === undefined ? undefined : `http://127.0.0.1:${ports.upstream}`,
    DEMO_DIFY_URL: ports.dify === undefined ? undefined : `http://127.0.0.1:${ports.dify}`,
    ...(addresses.s3Url === undefined
      ? {}
      : {
          S3_ENDPOINT: addresses.s3Url,
          S3_ACCESS_KEY_ID: secrets.s3AccessKey,
          S3_SECRET_ACCESS_KEY: secrets.s3SecretKey,
          S3_CREATE_BUCKET: "true",
        }),
    PUBLIC_URL: ports.api === undefined ? undefined : `http://127.0.0.1:${ports.api}`,
    ...(env["DIFY_WEBHOOK_API_KEY"] || env["DIFY_WEBHOOK_SECRET"]
      ? {}
      : { DIFY_WEBHOOK_API_KEY: secrets.webhookKey, DIFY_WEBHOOK_SECRET: secrets.webhookSecret }),
    UPSTREAM_PRIVATE_ADDRESSES: "true",
    WEBHOOK_PRIVATE_ADDRESSES: "true",
    SETTLEMENT_SHARDS: "1",
    RENDER_SIMULATE_MODE: "true",
  };
  return { ...withoutEmpty(own), ...env };
}
