import { readFileSync } from "node:fs";
import type { KafkaConfig, Producer, SASLOptions } from "kafkajs";
import type { Logger } from "../../platform/logger.ts";
import { createEventBuffer } from "../buffer.ts";
import type { Sink } from "../bus.ts";
import type { Entry } from "../entry.ts";
import type { ActivityMetrics } from "../metrics.ts";

export interface KafkaOptions {
  /** `host:port` each. */
  brokers: string[];
  topic: string;
  clientId: string;
  tls: boolean;
  /** File with the authorities that are believed about brokers; the system's without it. */
  caFile: string | undefined;
  sasl: { mechanism: "plain" | "scram-sha-256" | "scram-sha-512"; username: string; password: string } | undefined;
}

/** Messages of one request. */
const BATCH = 1_000;
const CONNECT_MS = 3_000;
const REQUEST_MS = 10_000;
/** Its own repeats are few: the buffer tries again, with growing pauses. */
const REPEATS = 2;

/** The library is loaded only where it is used. */
async function connect({ brokers, clientId, tls, caFile, sasl }: KafkaOptions): Promise<Producer> {
  const { Kafka, Partitioners, logLevel } = await import("kafkajs");
  const config: KafkaConfig = {
    brokers,
    clientId,
    ssl: tls ? (caFile === undefined ? true : { ca: [readFileSync(caFile, "utf8")] }) : false,
    ...(sasl ? { sasl: sasl as SASLOptions } : {}),
    connectionTimeout: CONNECT_MS,
    requestTimeout: REQUEST_MS,
    retry: { retries: REPEATS },
    // What fails is said by the buffer, once.
    logLevel: logLevel.NOTHING,
  };
  const producer = new Kafka(config).producer({ createPartitioner: Partitioners.DefaultPartitioner, allowAutoTopicCreation: true });
  try {
    await producer.connect();
    return producer;
  } catch (error) {
    await producer.disconnect().catch(() => undefined);
    throw error;
  }
}

/**
 * Sends each event to a Kafka topic: the key is the user's id, so that the events of one user stay in order, the value the JSON, the headers
 * say kind and version. Waits for all replicas. While no broker answers events wait in a bounded buffer; a batch whose answer was lost is sent
 * again, so consumers may see an event twice.
 */
export function createKafkaSink(options: KafkaOptions & { limit: number; everyMs: number; metrics: ActivityMetrics; log: Logger }): Sink {
  let producer: Producer | undefined;

  async function write(batch: Entry[]): Promise<void> {
    producer ??= await connect(options);
    const messages = batch.map(({ event, json }) => ({
      key: event.user_id,
      value: json,
      headers: { kind: event.kind, v: String(event.v) },
    }));
    try {
      await producer.send({ topic: options.topic, acks: -1, messages });
    } catch (error) {
      // A new connection finds out anew which brokers there are.
      const broken = producer;
      producer = undefined;
      await broken.disconnect().catch(() => undefined);
      throw error;
    }
  }

  const buffer = createEventBuffer<Entry>({ ...options, name: "kafka", maxBatch: BATCH, write, retries: true });
  return {
    name: "kafka",
    accept: (entry) => buffer.push(entry),
    async stop(graceMs) {
      await buffer.stop(graceMs);
      await producer?.disconnect().catch(() => undefined);
    },
  };
}
