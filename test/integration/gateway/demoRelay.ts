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

/** What a provider may do in the middle of a stream, and how the call is on record. */
export const MID_STREAM = [
  ["[[fault:error_in_band after=3]]", "upstream_error_event"],
  ["[[fault:die_mid_stream after=3]]", "upstream_closed"],
  ["[[fault:no_terminal after=3]]", "upstream_closed"],
  ["[[fault:bad_json after=3]]", "upstream_malformed"],
  ["[[fault:silent after=3]]", "upstream_idle_timeout"],
] as const;

/** The words of a stream until it breaks, and what its client throws then. */
export async function untilItBreaks<T>(
  stream: PromiseLike<AsyncIterable<T>>,
  wordsOf: (event: T) => string | null | undefined,
): Promise<{ text: string; error: unknown }> {
  let text = "";
  try {
    for await (const event of await stream) text += wordsOf(event) ?? "";
    return { text, error: undefined };
  } catch (error) {
    return { text, error };
  }
}
