import { rawCall, type RawAnswer, type RawCall } from "../../../support/rawCall.ts";
import { encode } from "../../../support/samples.ts";
import { useStack, waitFor } from "../../../support/stack.ts";
import { startUpstream, type Directed } from "../../../support/upstream.ts";
import { startRelay, type Customer, type Relay } from "../harness.ts";
import type { Asking } from "./askings.ts";

/** What every provider counts and says, unless a fault says otherwise: 1500 and 800 tokens, eight pieces. */
export const HEALTHY = "[[usage:1500,800]] [[chunks:8]]";

const SHORT_MS = { first_byte_ms: { first_byte_ms: 500, whole_ms: 500 }, idle_ms: { idle_ms: 500 }, total_ms: { total_ms: 1_500 } };
/** Calls at once. Most of a call's time is waiting. */
const LANES = 6;

/** A provider that does as it is told, with models of its own; one call at a time. */
export interface Lane {
  told: Directed;
  /** `short`: the time-out that is short there; `once`: for one call alone. */
  model(
    asking: Asking,
    options: { short?: keyof typeof SHORT_MS | undefined; once?: boolean | undefined; backed?: boolean },
  ): Promise<string>;
}

export interface FaultRig {
  relay: Relay;
  /** A provider that is well; it stands behind the others where a model is `backed`. */
  well: Directed;
  /** Waits for a lane that is free, and has it to itself. */
  onLane<T>(work: (lane: Lane) => Promise<T>): Promise<T>;
  call(asking: Asking, model: string, customer: Customer, more?: Partial<RawCall>): Promise<RawAnswer>;
}

function laneOf(rig: FaultRig, told: Directed): Lane {
  const models = new Map<string, Promise<string>>();
  return {
    told,
    model({ speaks, prices }, { short, once = false, backed = false }) {
      const name = `${speaks} ${short} ${backed} ${JSON.stringify(prices)}`;
      const known = once ? undefined : models.get(name);
      if (known) return known;
      const urls = backed ? [told.url, rig.well.url] : [told.url];
      const timeouts = short ? { timeouts: SHORT_MS[short] } : {};
      const model = rig.relay.model(urls, { apiFormat: speaks, maxOutput: 10_000, ...prices, ...timeouts });
      if (!once) models.set(name, model);
      return model;
    },
  };
}

/** A relay and its providers. Call it inside `describe`. */
export function useFaults(): FaultRig {
  const places = useStack();
  const rig = {} as FaultRig;
  const free: Lane[] = [];
  const waiting: ((lane: Lane) => void)[] = [];
  let servers: Awaited<ReturnType<typeof startUpstream>>[] = [];

  before(async () => {
    servers = await Promise.all(Array.from({ length: LANES + 1 }, () => startUpstream()));
    rig.relay = await startRelay(places, { STREAM_HEARTBEAT: "60s", HOLD_TTL: "30s" });
    const [well, ...rest] = servers;
    rig.well = well!;
    await rig.well.tell(HEALTHY);
    free.push(...rest.map((told) => laneOf(rig, told)));
  });
  after(async () => {
    const verdict = await rig.relay?.ledger.verify();
    await rig.relay?.close();
    await Promise.all(servers.map((server) => server.close()));
    if (!verdict?.balanced) throw new Error(`the ledger does not balance: ${JSON.stringify(verdict)}`);
  });

  rig.onLane = async (work) => {
    const lane = free.pop() ?? (await new Promise<Lane>((resolve) => waiting.push(resolve)));
    try {
      return await work(lane);
    } finally {
      const next = waiting.shift();
      if (next) next(lane);
      else free.push(lane);
    }
  };
  rig.call = ({ sample }, model, customer, more = {}) => {
    const { type, bytes } = encode({ ...sample, body: { ...sample.body, model } });
    const headers = { authorization: `Bearer ${customer.key}`, "content-type": type };
    return rawCall(rig.relay.url + sample.path, { headers, body: bytes, ...more });
  };
  return rig;
}

/** Waits until a provider has nothing under way any more, however its calls ended. */
export async function idle(upstream: Directed): Promise<void> {
  await waitFor(async () => (await upstream.calls()).every((call) => call.ended), { timeoutMs: 5_000, message: "the provider to be idle" });
}
