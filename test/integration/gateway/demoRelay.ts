import { useStack } from "../../support/stack.ts";
import { startUpstream, type Directed } from "../../support/upstream.ts";
import { billOf, type Bill } from "./bill.ts";
import { startRelay, type Customer, type ModelOptions, type Relay } from "./harness.ts";

/** A relay before the demo upstream, with one model there and a new customer for each test. The fields may be read in hooks and tests. */
export interface DemoRelay {
  relay: Relay;
  upstream: Directed & { close(): Promise<void> };
  model: string;
  ada: Customer;
  /** What Ada has paid so far, and her newest record. */
  bill(): Promise<Bill>;
}

/** Registers the hooks that make it; `options` are the model's. */
export function useDemoRelay(options: ModelOptions): DemoRelay {
  const places = useStack();
  const demo = { bill: () => billOf(demo.relay, demo.ada) } as DemoRelay;
  before(async () => {
    demo.upstream = await startUpstream({ key: "upstream-key" });
    demo.relay = await startRelay(places, { STREAM_HEARTBEAT: "200ms", HOLD_TTL: "30s" });
    const timeouts = { first_byte_ms: 900, whole_ms: 900, idle_ms: 900, total_ms: 5_000 };
    demo.model = await demo.relay.model([demo.upstream.url], { maxOutput: 10_000, timeouts, ...options });
  });
  beforeEach(async () => {
    await demo.upstream.reset();
    demo.ada = await demo.relay.customer();
  });
  after(async () => {
    await demo.relay?.close();
    await demo.upstream?.close();
  });
  return demo;
}

/** A picture of one dot. */
export const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
