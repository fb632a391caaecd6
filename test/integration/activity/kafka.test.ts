import { writeFile } from "node:fs/promises";
import path from "node:path";
import { expect } from "chai";
import { Kafka, logLevel, type KafkaConfig } from "kafkajs";
import { createBus, createKafkaSink, type Bus, type Sink } from "../../../src/activity/index.ts";
import type { KafkaOptions } from "../../../src/activity/sinks/kafka.ts";
import { startBroker, type Broker } from "../../support/kafka/broker.ts";
import { waitFor } from "../../support/waitFor.ts";
import { watched, withFolder, type Watched } from "../../unit/activity/support.ts";

const TOPIC = "activity";
const SASL = { username: "tollkeeper", password: "a long password" };

interface Consumed {
  key: string | null;
  kind: string;
  v: string;
  event: { id: string; request_id: string; user_id: string | null };
  partition: number;
}

/** Everything in the topic, as it comes. */
async function consume(broker: Broker, more: Partial<KafkaConfig> = {}): Promise<{ seen: Consumed[]; stop(): Promise<void> }> {
  const kafka = new Kafka({ brokers: [broker.address], logLevel: logLevel.NOTHING, ...more });
  const consumer = kafka.consumer({ groupId: "test" });
  const seen: Consumed[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message: { key, value, headers } }) =>
      void seen.push({
        key: key && key.toString(),
        kind: String(headers!["kind"]),
        v: String(headers!["v"]),
        event: JSON.parse(value!.toString()) as Consumed["event"],
        partition,
      }),
  });
  return { seen, stop: () => consumer.disconnect() };
}

function start(broker: Broker, options: Partial<KafkaOptions & { limit: number }> = {}): { bus: Bus; sink: Sink; seen: Watched } {
  const seen = watched();
  const plain = { tls: false, caFile: undefined, sasl: undefined };
  const { metrics, log } = seen;
  const sink = createKafkaSink({
    brokers: [broker.address],
    topic: TOPIC,
    clientId: "test",
    ...plain,
    limit: 10_000,
    everyMs: 20,
    metrics,
    log,
    ...options,
  });
  const bus = createBus();
  bus.addSink(sink);
  return { bus, sink, seen };
}

function tell(bus: Bus, from: number, to: number): void {
  for (let n = from; n < to; n++)
    bus.emit({ kind: "user.verified", user_id: n % 10 === 9 ? null : `user-${n % 10}`, request_id: `request-${n}` });
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, n) => `request-${n}`).toSorted();

describe("events in Kafka", function () {
  this.timeout(60_000);
  before("the broker is built", async function () {
    this.timeout(600_000);
    await (await startBroker()).stop();
  });

  it("arrive with key, headers and JSON, and those of one user in order", async () => {
    const broker = await startBroker();
    const { bus } = start(broker);
    tell(bus, 0, 500);
    await bus.stop(10_000);
    const { seen, stop } = await consume(broker);
    await waitFor(() => seen.length === 500, { timeoutMs: 20_000 });
    await stop();
    for (const { key, kind, v, event } of seen) expect([key, kind, v]).to.deep.equal([event.user_id, "user.verified", "1"]);
    expect(seen.map(({ event }) => event.request_id).toSorted()).to.deep.equal(numbers(500));
    for (let user = 0; user < 9; user++) {
      const own = seen.filter(({ key }) => key === `user-${user}`);
      expect(new Set(own.map(({ partition }) => partition)).size).to.equal(1);
      expect(own.map(({ event }) => event.request_id)).to.deep.equal(Array.from({ length: 50 }, (_, i) => `request-${i * 10 + user}`));
    }
    await broker.stop();
  });

  for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"] as const) {
    it(`arrive over TLS with SASL ${mechanism}`, () =>
      withFolder(async (dir) => {
        const user = { user: SASL.username, password: SASL.password };
        const broker = await startBroker({ tls: true, sasl: { mechanism: mechanism.toUpperCase() as "PLAIN", ...user } });
        const caFile = path.join(dir, "ca.pem");
        await writeFile(caFile, broker.authority);
        const { bus } = start(broker, { tls: true, caFile, sasl: { mechanism, ...SASL } });
        tell(bus, 0, 20);
        await bus.stop(10_000);
        const { seen, stop } = await consume(broker, {
          ssl: { ca: [broker.authority] },
          sasl: { mechanism: mechanism as "plain", ...SASL },
        });
        await waitFor(() => seen.length === 20, { timeoutMs: 20_000 });
        await stop();
        await broker.stop();
      }));
  }

  it("wait while no broker answers, up to a bound, and arrive when one does", async () => {
    const first = await startBroker();
    const { bus, sink, seen: counted } = start(first, { limit: 100 });
    tell(bus, 0, 10);
    await waitFor(async () => (await counted.count('tollkeeper_activity_written_total{sink="kafka"}')) === 10);
    await first.stop();
    tell(bus, 0, 150);
    await waitFor(() => counted.lines.some(({ msg }) => msg === "events cannot be written"), { timeoutMs: 20_000 });
    expect(await counted.count('tollkeeper_activity_dropped_total{sink="kafka",reason="full"}')).to.equal(50);
    const second = await startBroker({ port: first.port });
    await waitFor(async () => (await counted.count('tollkeeper_activity_written_total{sink="kafka"}')) === 110, { timeoutMs: 30_000 });
    const { seen, stop } = await consume(second);
    await waitFor(() => new Set(seen.map(({ event }) => event.id)).size === 100, { timeoutMs: 20_000 });
    await stop();
    expect([...new Set(seen.map(({ event }) => event.request_id))].toSorted()).to.deep.equal(numbers(100));
    await sink.stop(1_000);
    await second.stop();
  });

  it("with a wrong password are not sent, which is said, and nobody waits", async () => {
    const broker = await startBroker({ sasl: { mechanism: "PLAIN", user: SASL.username, password: SASL.password } });
    const { bus, seen } = start(broker, { sasl: { mechanism: "plain", ...SASL, password: "wrong" } });
    tell(bus, 0, 3);
    await waitFor(() => seen.lines.some(({ msg }) => msg === "events cannot be written"), { timeoutMs: 20_000 });
    await bus.stop(200);
    expect(await seen.count('tollkeeper_activity_dropped_total{sink="kafka",reason="stopped"}')).to.equal(3);
    await broker.stop();
  });
});
