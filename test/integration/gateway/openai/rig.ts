import OpenAI from "openai";
import { useStack, waitFor } from "../../../support/stack.ts";
import { startUpstream } from "../../../support/upstream.ts";
import { startRelay, type Customer, type ModelOptions, type Relay } from "../harness.ts";
import { startRawUpstream, type RawUpstream } from "../rawUpstream.ts";

/** What a call cost and how it was recorded. Amounts in micro-credits. */
export interface Bill {
  charged: bigint;
  status: string | undefined;
  code: string | null | undefined;
  estimated: boolean | undefined;
  tokens: number[];
  units: object | null | undefined;
}

export interface Rig {
  relay: Relay;
  /** The demo upstream. */
  upstream: Awaited<ReturnType<typeof startUpstream>>;
  /** A provider of whatever bytes a test writes. */
  raw: RawUpstream;
  /** The customer of this test. */
  ada: Customer;
  client(key?: string): OpenAI;
  /** A model of the demo upstream, or of the raw one. */
  model(options?: ModelOptions & { raw?: boolean }): Promise<string>;
  /** After everything: what the last call cost. Nothing is held any more. */
  bill(): Promise<Bill>;
  /** A request as it is, for what the client hides. */
  send(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

const CREDIT = 1_000_000_000n;

/** A relay between the official client and two providers; each test has a customer with 1000 credits. Call it inside `describe`. */
export function useOpenai(env: Record<string, string> = {}): Rig {
  const places = useStack();
  const rig = {} as Rig;

  before(async () => {
    rig.upstream = await startUpstream();
    rig.raw = await startRawUpstream();
    rig.relay = await startRelay(places, env);
  });
  beforeEach(async () => {
    rig.ada = await rig.relay.customer();
  });
  after(async () => {
    await rig.relay?.close();
    await rig.raw?.close();
    await rig.upstream?.close();
  });

  rig.client = (key = rig.ada.key) => new OpenAI({ apiKey: key, baseURL: `${rig.relay.url}/v1`, maxRetries: 0 });
  rig.model = ({ raw = false, ...options } = {}) => rig.relay.model([raw ? rig.raw.url : rig.upstream.url], options);
  rig.send = (path, body, init = {}) =>
    fetch(`${rig.relay.url}${path}`, {
      method: "POST",
      body: typeof body === "string" || body instanceof FormData ? body : JSON.stringify(body),
      ...init,
      headers: {
        authorization: `Bearer ${rig.ada.key}`,
        ...(body instanceof FormData ? {} : { "content-type": "application/json" }),
        ...(init.headers as Record<string, string> | undefined),
      },
    });
  rig.bill = async () => {
    const { relay, ada } = rig;
    await waitFor(async () => (await relay.lastEvent(ada)) !== undefined, { timeoutMs: 5_000, message: "the record" });
    await relay.settle();
    await waitFor(async () => (await relay.balance(ada)).held === "0", { timeoutMs: 5_000, message: "nothing held" });
    const event = await relay.lastEvent(ada);
    const { total } = await relay.balance(ada);
    return {
      charged: CREDIT - BigInt(total),
      status: event?.status,
      code: event?.error_code,
      estimated: event?.estimated,
      tokens: [Number(event?.input_tokens), Number(event?.output_tokens)],
      units: event?.units,
    };
  };
  return rig;
}
