import type { Bus } from "../../../../src/activity/index.ts";
import { useStack } from "../../../support/stack.ts";
import { startUpstream } from "../../../support/upstream.ts";
import { billOf, type Bill } from "../bill.ts";
import { startRelay, type Customer, type CustomerOptions, type ModelOptions, type Relay } from "../harness.ts";

export type AppKind = "chat" | "agent" | "chatflow" | "completion" | "workflow";

/** One event of Dify's, and how it came. */
export type DifyEvent = Record<string, unknown> & { event: string };

export interface Rig {
  relay: Relay;
  dify: Awaited<ReturnType<typeof startUpstream>>;
  /** An app of its own with its own secret key, and the model that it is here. */
  app(kind: AppKind, options?: ModelOptions): Promise<{ model: string; key: string }>;
  /** A customer whose key has this one app. */
  customer(model: string, options?: CustomerOptions): Promise<Customer>;
  send(who: Customer | string, path: string, body?: unknown, init?: RequestInit): Promise<Response>;
  /** The events of a stream in order; pings are `{event: "ping"}`. */
  stream(who: Customer | string, path: string, body: object): Promise<DifyEvent[]>;
  bill(who: Customer): Promise<Bill>;
}

/** What every answer is counted, unless a test says otherwise. */
export const COUNTED = "[[usage:1500,800]] [[chunks:4]]";

/** Reads a whole event stream; comments are left out. */
export function eventsOf(text: string): DifyEvent[] {
  return text
    .split("\n\n")
    .filter((event) => event !== "" && !event.startsWith(":"))
    .map((event) => (event === "event: ping" ? { event: "ping" } : (JSON.parse(event.replace(/^data: /, "")) as DifyEvent)));
}

/** A relay before a Dify, whose apps are told apart by their keys. Call it inside `describe`. */
export function useDify(env: Record<string, string> = {}, events?: Bus): Rig {
  const places = useStack();
  const rig = {} as Rig;
  let apps = 0;

  before(async () => {
    rig.dify = await startUpstream();
    rig.relay = await startRelay(places, env, events ? { events } : {});
  });
  beforeEach(async () => {
    await rig.dify.reset();
    await rig.dify.tell(COUNTED);
  });
  after(async () => {
    const verdict = await rig.relay?.ledger.verify();
    await rig.relay?.close();
    await rig.dify?.close();
    if (!verdict?.balanced) throw new Error(`the ledger does not balance: ${JSON.stringify(verdict)}`);
  });

  rig.app = async (kind, options = {}) => {
    const key = `app-${kind}-${++apps}`;
    const model = await rig.relay.model([rig.dify.url], { apiFormat: "dify", providers: [{ keys: [key] }], ...options });
    return { model, key };
  };
  rig.customer = (model, options = {}) => rig.relay.customer({ models: [model], ...options });
  rig.send = (who, path, body, init = {}) =>
    fetch(`${rig.relay.url}/dify/v1${path}`, {
      method: body === undefined ? "GET" : "POST",
      ...(body === undefined ? {} : { body: body instanceof FormData ? body : JSON.stringify(body) }),
      ...init,
      headers: {
        authorization: `Bearer ${typeof who === "string" ? who : who.key}`,
        ...(body === undefined || body instanceof FormData ? {} : { "content-type": "application/json" }),
        ...(init.headers as Record<string, string> | undefined),
      },
    });
  rig.stream = async (who, path, body) => {
    const answer = await rig.send(who, path, { inputs: {}, user: "whoever", response_mode: "streaming", ...body });
    return eventsOf(await answer.text());
  };
  rig.bill = (who) => billOf(rig.relay, who);
  return rig;
}
