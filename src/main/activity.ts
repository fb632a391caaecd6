import path from "node:path";
import {
  createActivityMetrics,
  createBus,
  createKafkaSink,
  createLinesSink,
  createRedisStreamSink,
  createStoreSink,
  type Bus,
} from "../activity/index.ts";
import type { Config } from "../config/index.ts";
import { createHideIp } from "../platform/hideIp.ts";
import type { Logger } from "../platform/logger.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import type { Redis } from "../platform/redis.ts";

/** Events wait this long at most before they are on their way; so much is lost when the process is killed. */
const EVERY_MS = 100;
/** Lists may lag a little more: fewer statements. */
const STORE_EVERY_MS = 250;
const MB = 1024 * 1024;

/** The events of this process and everywhere they go. */
export function createEvents(
  config: Config,
  name: string,
  { pool, redis, log, metrics: registry }: { pool: Pool; redis: Redis; log: Logger; metrics: Metrics },
): Bus {
  const metrics = createActivityMetrics(registry);
  const bus = createBus({ log, hideIp: createHideIp(config.ACTIVITY_IP, config.HASH_SECRET) });
  const common = { limit: config.ACTIVITY_BUFFER, everyMs: EVERY_MS, metrics, log };
  bus.addSink(createStoreSink({ ...common, pool, everyMs: STORE_EVERY_MS }));
  if (config.ACTIVITY_LOG) {
    const files = { maxFileBytes: config.ACTIVITY_FILE_MB * MB, maxOpen: config.ACTIVITY_OPEN_FILES };
    const kept = { keepMs: config.ACTIVITY_KEEP, maxBytes: config.ACTIVITY_MAX_MB * MB };
    bus.addSink(createLinesSink({ ...common, ...files, ...kept, name, dir: path.resolve(config.ACTIVITY_DIR) }));
  }
  if (config.ACTIVITY_REDIS_STREAM !== undefined) {
    const stream = { stream: config.ACTIVITY_REDIS_STREAM, maxLength: config.ACTIVITY_REDIS_LENGTH };
    bus.addSink(createRedisStreamSink({ ...common, ...stream, redis }));
  }
  if (config.ACTIVITY_KAFKA_BROKERS.length > 0) {
    const { ACTIVITY_KAFKA_SASL: mechanism, ACTIVITY_KAFKA_USERNAME: username = "", ACTIVITY_KAFKA_PASSWORD: password = "" } = config;
    bus.addSink(
      createKafkaSink({
        ...common,
        brokers: config.ACTIVITY_KAFKA_BROKERS,
        topic: config.ACTIVITY_KAFKA_TOPIC,
        clientId: `tollkeeper-${name}`,
        tls: config.ACTIVITY_KAFKA_TLS,
        caFile: config.ACTIVITY_KAFKA_CA,
        sasl: mechanism && { mechanism, username, password },
      }),
    );
  }
  return bus;
}
