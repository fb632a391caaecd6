import OpenAI from "openai";
import { useStack } from "../../../support/stack.ts";
import { startUpstream } from "../../../support/upstream.ts";
import { billOf, type Bill } from "../bill.ts";
import { startRelay, type Customer, type ModelOptions, type Relay } from "../harness.ts";
import { startRawUpstream, type RawUpstream } from "../rawUpstream.ts";

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
  rig.bill = () => billOf(rig.relay, rig.ada);
  return rig;
}
