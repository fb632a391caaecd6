import { z } from "zod";
import { IP_MODES } from "../platform/hideIp.ts";
import { credits, duration, flag, fraction, integer, list, optionalPort, secrets, text, url, yuan } from "./env.ts";

/** Every variable the program reads. `.env.example` lists the same names with their meaning; a test compares the two. */
export const environmentSchema = z.object({
  NODE_ENV: z.enum(["production", "development", "test"], { message: "must be production, development or test" }).default("production"),
  LOG_LEVEL: z
    .enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"], { message: "must be a pino level such as info" })
    .default("info"),

  HOST: text("0.0.0.0"),
  PORT: integer(3000, 0, 65_535),
  PUBLIC_URL: url("http", "https").optional(),
  TRUST_PROXY: integer(0, 0, 10),
  CORS_ORIGINS: list(),
  SHUTDOWN_GRACE: duration("20s"),

  OTEL_EXPORTER_OTLP_ENDPOINT: url("http", "https").optional(),
  OTEL_EXPORTER_OTLP_HEADERS: z.string().optional(),
  OTEL_SERVICE_NAME: z.string().min(1).optional(),
  OTEL_TRACES_SAMPLER: z
    .enum(["always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"])
    .default("parentbased_traceidratio"),
  OTEL_TRACES_SAMPLER_ARG: fraction("0.01"),

  SENTRY_DSN: url("http", "https").optional(),

  ACTIVITY_LOG: flag(true),
  ACTIVITY_DIR: text(".data/activity"),
  ACTIVITY_FILE_MB: integer(64, 1, 4_096),
  ACTIVITY_OPEN_FILES: integer(128, 1, 10_000),
  ACTIVITY_KEEP: duration("30d"),
  ACTIVITY_MAX_MB: integer(10_240, 1, 10_000_000),
  ACTIVITY_BUFFER: integer(10_000, 100, 1_000_000),
  ACTIVITY_IP: z.enum(IP_MODES, { message: "must be plain, hashed or none" }).default("plain"),
  USAGE_IP: z.enum(IP_MODES, { message: "must be plain, hashed or none" }).default("plain"),
  ACTIVITY_LISTED: duration("180d"),
  INCIDENTS_KEPT: duration("180d"),
  ACTIVITY_REDIS_STREAM: z.string().min(1).optional(),
  ACTIVITY_REDIS_LENGTH: integer(100_000, 100, 100_000_000),
  ACTIVITY_KAFKA_BROKERS: list(),
  ACTIVITY_KAFKA_TOPIC: text("tollkeeper.activity"),
  ACTIVITY_KAFKA_TLS: flag(false),
  ACTIVITY_KAFKA_CA: z.string().min(1).optional(),
  ACTIVITY_KAFKA_SASL: z
    .enum(["plain", "scram-sha-256", "scram-sha-512"], { message: "must be plain, scram-sha-256 or scram-sha-512" })
    .optional(),
  ACTIVITY_KAFKA_USERNAME: z.string().min(1).optional(),
  ACTIVITY_KAFKA_PASSWORD: z.string().min(1).optional(),

  MONITOR_STREAMS: integer(5, 1, 10_000),

  LIVE_CONNECTIONS: integer(20, 1, 1_000_000),
  LIVE_KEPT_EVENTS: integer(20_000, 100, 1_000_000),
  LIVE_WAITING_KB: integer(1_024, 16, 102_400),

  METRICS_PORT: optionalPort(),
  METRICS_TOKEN: z.string().min(16, "must have at least 16 characters").optional(),

  DATABASE_URL: url("postgres", "postgresql"),
  DATABASE_POOL: integer(10, 2, 200),
  DATABASE_TRANSACTION_IDLE: duration("10s"),
  REDIS_URL: url("redis", "rediss"),
  TEMPORAL_ADDRESS: z.string().regex(/^[^\s:/]+:\d+$/, "must be host:port"),
  TEMPORAL_NAMESPACE: text("default"),
  TEMPORAL_UI_URL: url("http", "https").default("http://127.0.0.1:8233"),
  TEMPORAL_TLS: flag(false),
  TEMPORAL_API_KEY: z.string().min(1).optional(),
  TEMPORAL_BUILD_ID: z.string().min(1).optional(),

  JWT_SECRETS: secrets({ minLength: 32 }),
  HASH_SECRET: z.string().min(32, "must have at least 32 characters"),
  ENCRYPTION_KEYS: secrets({ minLength: 32, exactBytes: 32 }),
  ACCESS_TOKEN_TTL: duration("15m"),
  REFRESH_TOKEN_TTL: duration("30d"),
  ADMIN_EMAIL: z.email({ message: "must be an e-mail address" }).optional(),
  ADMIN_PASSWORD: z.string().min(10, "must have at least 10 characters").optional(),

  CODE_TTL: duration("10m"),
  CODE_RESEND_AFTER: duration("60s"),
  CODE_DAILY_CAP: integer(20, 1, 1_000),
  LINK_TTL: duration("24h"),
  WELCOME_CREDITS: credits("0"),

  SMTP_URL: url("smtp", "smtps").optional(),
  MAIL_FROM: text("Tollkeeper <no-reply@localhost>"),
  WEBHOOK_TIMEOUT: duration("10s"),
  WEBHOOK_PRIVATE_ADDRESSES: flag(false),

  S3_ENDPOINT: url("http", "https").optional(),
  S3_PUBLIC_ENDPOINT: url("http", "https").optional(),
  S3_REGION: text("us-east-1"),
  S3_BUCKET: text("tollkeeper"),
  S3_ACCESS_KEY_ID: z.string().min(1).optional(),
  S3_SECRET_ACCESS_KEY: z.string().min(1).optional(),
  S3_PATH_STYLE: flag(true),
  S3_CHECKSUMS: flag(true),
  S3_CREATE_BUCKET: flag(false),
  OSS_ENDPOINT: url("http", "https").optional(),
  OSS_BUCKET: z.string().min(1).optional(),
  OSS_ACCESS_KEY_ID: z.string().min(1).optional(),
  OSS_ACCESS_KEY_SECRET: z.string().min(1).optional(),
  FILE_MAX_MB: integer(10_240, 1, 5_000_000),
  FILE_AVATAR_MAX_MB: integer(5, 1, 1_000),
  FILE_PART_MB: integer(64, 5, 5_000),
  FILE_SCENE_TYPES: list("application/*,model/*,text/plain"),
  FILE_ASSET_TYPES: list("application/*,audio/*,font/*,image/*,model/*,text/plain,video/*"),
  FILE_AVATAR_TYPES: list("image/jpeg,image/png,image/webp"),
  FILE_URL_TTL: duration("1h"),
  FILE_UPLOAD_TTL: duration("24h"),
  FILE_REMOVED_AGAIN: duration("1h"),
  FILE_ORPHAN_AGE: duration("7d"),
  FILE_QUOTA_MB: integer(102_400, 1, 1_000_000_000),
  FILE_QUOTA_COUNT: integer(100_000, 1, 1_000_000_000),

  RENDER_SIMULATE_MODE: flag(false),
  RENDER_FRAMES_AT_ONCE: integer(2, 0, 256),
  RENDER_NODE_MEMORY_MB: integer(0, 0, 16_777_216).transform((mb) => mb || undefined),
  RENDER_NODE_NAME: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/)
    .optional(),
  RENDER_FOLDER: z.string().min(1).optional(),
  RENDER_ENGINES: list("blender,maya"),
  RENDER_ISOLATION: z.enum(["required", "preferred"], { message: "must be required or preferred" }).optional(),
  RENDER_BLENDER: text("blender"),
  RENDER_BLENDER_DEVICE: z
    .enum(["CPU", "CUDA", "OPTIX", "HIP", "ONEAPI"], { message: "must be CPU, CUDA, OPTIX, HIP or ONEAPI" })
    .default("CPU"),
  RENDER_MAYA: text("Render"),
  RENDER_MAYA_NETWORK: flag(false),
  RENDER_FFMPEG: text("ffmpeg"),
  RENDER_THREADS: integer(0, 0, 1_024),
  RENDER_FRAME_TIME: duration("1h"),
  RENDER_CHECK_TIME: duration("2m"),
  RENDER_MEMORY_MB: integer(8_192, 256, 16_777_216),
  RENDER_OUTPUT_MB: integer(2_048, 16, 1_048_576),

  CREDITS_PER_YUAN: credits("10"),
  CREDITS_PER_DOLLAR: credits("0"),
  TOPUP_MIN: yuan("1"),
  TOPUP_MAX: yuan("50000"),
  TOPUP_BONUS_TIERS: list(),
  TOPUP_ORDER_TTL: duration("30m"),
  TOPUP_LATE_WATCH: duration("24h"),
  TOPUP_QUERY_ABOVE: yuan("10000"),

  EPAY_URL: url("http", "https").optional(),
  EPAY_PID: z.string().min(1).optional(),
  EPAY_KEY: z.string().optional(),
  EPAY_TYPES: list("alipay,wxpay"),
  EPAY_KEY_SEPARATOR: z.string().max(8).default(""),

  DIFY_WEBHOOK_API_KEY: list().refine((keys) => keys.every((key) => key.length >= 16), "each key must have at least 16 characters"),
  DIFY_WEBHOOK_SECRET: list().refine((all) => all.every((secret) => secret.length >= 16), "each secret must have at least 16 characters"),
  DIFY_WEBHOOK_DEBUG: flag(false),
  DIFY_WEBHOOK_TOTALS: z.enum(["keep", "charge"], { message: "must be keep or charge" }).default("keep"),

  REQUESTS_PER_MINUTE: integer(100, 1, 1_000_000),
  API_REQUESTS_PER_MINUTE: integer(0, 0, 1_000_000),
  REFUSED_KEYS_PER_MINUTE: integer(300, 0, 1_000_000),
  PERMIT_LEASE: duration("25s"),
  PERMIT_WAIT: duration("0ms"),
  UPSTREAM_CONNECT_TIMEOUT: duration("5s"),
  UPSTREAM_FIRST_BYTE_TIMEOUT: duration("120s"),
  UPSTREAM_WHOLE_TIMEOUT: duration("10m"),
  UPSTREAM_IDLE_TIMEOUT: duration("60s"),
  UPSTREAM_TOTAL_TIMEOUT: duration("15m"),
  UPSTREAM_STOP_TIMEOUT: duration("10s"),
  UPSTREAM_PRIVATE_ADDRESSES: flag(false),
  RELAY_MAX_ATTEMPTS: integer(4, 1, 16),
  RELAY_RETRY_BASE: duration("100ms"),
  RELAY_RETRY_CAP: duration("2s"),
  RELAY_RETRY_WITHIN: duration("10s"),
  RELAY_RETRY_PERCENT: integer(20, 0, 100),
  CIRCUIT_BREAKER: flag(true),
  CIRCUIT_WINDOW: duration("30s"),
  CIRCUIT_MIN_CALLS: integer(10, 1, 100_000),
  CIRCUIT_FAILURE_PERCENT: integer(50, 1, 100),
  CIRCUIT_COOL_DOWN: duration("5s"),
  PROVIDER_KEY_REST: duration("10m"),
  PROVIDER_RATE_LIMIT_REST: duration("1s"),
  STREAM_HEARTBEAT: duration("10s"),
  RELAY_BODY_LIMIT_MB: integer(32, 1, 512),
  DEFAULT_MAX_OUTPUT_TOKENS: integer(4_096, 1, 10_000_000),
  CACHE_CHARGE_PERCENT: integer(10, 1, 100),
  GUARDRAIL_URL: url("http", "https").optional(),
  GUARDRAIL_SECRET: z.string().min(16, "must have at least 16 characters").optional(),
  GUARDRAIL_TIMEOUT: duration("2s"),
  GUARDRAIL_ANSWERS: flag(false),
  GUARDRAIL_ON_FAILURE: z.enum(["refuse", "allow"], { message: "must be refuse or allow" }).default("refuse"),
  GUARDRAIL_MODE: z.enum(["enforce", "shadow"], { message: "must be enforce or shadow" }).default("enforce"),
  ANTINOMY_API_KEY: z
    .string()
    .regex(/^[\x21-\x7e]{1,1000}$/, "must be visible ASCII characters without spaces")
    .optional(),
  DEMO_UPSTREAM_URL: url("http", "https").optional(),
  DEMO_DIFY_URL: url("http", "https").optional(),

  HOLD_TTL: duration("60s"),
  SETTLE_TOLERANCE_PERCENT: integer(10, 0, 100),
  SETTLE_TOLERANCE_CREDITS: credits("100"),
  SETTLEMENT_SHARDS: integer(16, 1, 1_024),
  SETTLEMENT_BATCH: integer(500, 1, 5_000),
});

/** Engines that are programs of the render nodes. */
const RENDER_ENGINES = ["blender", "maya"];

type Environment = z.output<typeof environmentSchema>;

/** The whole configuration, read once. Durations are milliseconds, credits micro-credits, yuan fen. */
export type Config = Environment & { PUBLIC_URL: string; production: boolean };

/** Thrown with one line per bad variable. */
export class ConfigError extends Error {
  readonly problems: string[];

  constructor(problems: string[]) {
    super(`The configuration is not valid:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** Reads and checks the environment. Empty text counts as not set. Throws {@link ConfigError} that names each bad variable. */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([name, value]) => value !== "" && name in environmentSchema.shape));
  const parsed = environmentSchema.safeParse(given);
  const problems = parsed.success
    ? crossChecks(parsed.data, env)
    : parsed.error.issues.map((issue) => {
        const name = String(issue.path[0]);
        return `${name}: ${name in given ? issue.message : "is required"}`;
      });
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  const data = parsed.data;
  return {
    ...data,
    PUBLIC_URL: (data.PUBLIC_URL ?? `http://127.0.0.1:${data.PORT}`).replace(/\/+$/, ""),
    production: data.NODE_ENV === "production",
  };
}

/** Rules that concern more than one variable. A payment provider that is half configured stops the process. */
function crossChecks(data: Environment, env: NodeJS.ProcessEnv): string[] {
  const problems: string[] = [];
  if (data.EPAY_URL) {
    if (!data.EPAY_PID) problems.push("EPAY_PID: is required when EPAY_URL is set");
    if (!data.EPAY_KEY?.trim()) problems.push("EPAY_KEY: is required when EPAY_URL is set and may not be blank");
    if (data.EPAY_TYPES.length === 0) problems.push("EPAY_TYPES: needs at least one type");
    if (data.NODE_ENV === "production" && !data.EPAY_URL.startsWith("https://")) problems.push("EPAY_URL: must be https in production");
  }
  const [storage, secret] = data.S3_ENDPOINT ? ["S3", "S3_SECRET_ACCESS_KEY" as const] : ["OSS", "OSS_ACCESS_KEY_SECRET" as const];
  if (data.S3_ENDPOINT ?? data.OSS_ENDPOINT) {
    for (const name of [`${storage}_ACCESS_KEY_ID`, secret])
      if (!data[name as keyof Environment]) problems.push(`${name}: is required when ${storage}_ENDPOINT is set`);
    if (storage === "OSS" && !data.OSS_BUCKET) problems.push("OSS_BUCKET: is required when OSS_ENDPOINT is set");
  }
  if (data.FILE_URL_TTL < 60_000 || data.FILE_URL_TTL > 7 * 86_400_000) problems.push("FILE_URL_TTL: must be from 1m to 7d");
  const badEngine = data.RENDER_ENGINES.find((name) => !RENDER_ENGINES.includes(name));
  if (badEngine !== undefined) problems.push(`RENDER_ENGINES: "${badEngine}" must be one of ${RENDER_ENGINES.join(", ")}`);
  if (data.RENDER_FRAME_TIME < 1_000 || data.RENDER_FRAME_TIME > 23 * 3_600_000) problems.push("RENDER_FRAME_TIME: must be from 1s to 23h");
  if (data.RENDER_CHECK_TIME < 1_000 || data.RENDER_CHECK_TIME > 8 * 60_000) problems.push("RENDER_CHECK_TIME: must be from 1s to 8m");
  const badType = [...data.FILE_SCENE_TYPES, ...data.FILE_ASSET_TYPES, ...data.FILE_AVATAR_TYPES].find(
    (type) => !/^[a-z0-9.+-]+\/([a-z0-9.+-]+|\*)$/.test(type),
  );
  if (badType !== undefined)
    problems.push(`FILE_SCENE_TYPES, FILE_ASSET_TYPES, FILE_AVATAR_TYPES: "${badType}" must be a type such as image/png or image/*`);
  const badBroker = data.ACTIVITY_KAFKA_BROKERS.find((broker) => !/^[^\s:/]+:\d+$/.test(broker));
  if (badBroker !== undefined) problems.push(`ACTIVITY_KAFKA_BROKERS: "${badBroker}" must be host:port`);
  if (data.ACTIVITY_KAFKA_SASL && !(data.ACTIVITY_KAFKA_USERNAME && data.ACTIVITY_KAFKA_PASSWORD))
    problems.push("ACTIVITY_KAFKA_SASL: goes with ACTIVITY_KAFKA_USERNAME and ACTIVITY_KAFKA_PASSWORD");
  if (data.DIFY_WEBHOOK_API_KEY.length > 0 !== data.DIFY_WEBHOOK_SECRET.length > 0) {
    problems.push("DIFY_WEBHOOK_SECRET: goes with DIFY_WEBHOOK_API_KEY");
  }
  if (data.PERMIT_LEASE < 1_000 || data.PERMIT_LEASE > 30_000) problems.push("PERMIT_LEASE: must be from 1s to 30s");
  if (data.NODE_ENV === "production" && !data.PUBLIC_URL) problems.push("PUBLIC_URL: is required in production");
  if (data.NODE_ENV === "production" && !data.SMTP_URL) problems.push("SMTP_URL: is required in production");
  if (data.TOPUP_MIN > data.TOPUP_MAX) problems.push("TOPUP_MIN: must not be above TOPUP_MAX");
  const badTier = data.TOPUP_BONUS_TIERS.find((tier) => !/^\d{1,9}(\.\d{1,2})?:\d{1,4}(\.\d{1,2})?$/.test(tier));
  if (badTier !== undefined) problems.push(`TOPUP_BONUS_TIERS: "${badTier}" must be amount:percent, such as 100:5`);
  if (data.CREDITS_PER_YUAN === 0n) problems.push("CREDITS_PER_YUAN: must not be 0");
  if (Boolean(data.ADMIN_EMAIL) !== Boolean(env["ADMIN_PASSWORD"])) problems.push("ADMIN_PASSWORD: goes with ADMIN_EMAIL");
  return problems;
}
