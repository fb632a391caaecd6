import { expect } from "chai";
import { createChanges } from "../../../../src/identity/changes.ts";
import { createEndUserTokens } from "../../../../src/identity/endUserTokens.ts";
import { uuidv7 } from "../../../../src/platform/ids.ts";
import type { Topic } from "../../../../src/platform/invalidation.ts";
import type { Speaks } from "../../../../src/gateway/pipeline/format.ts";
import { useStack } from "../../../support/stack.ts";
import { startUpstream } from "../../../support/upstream.ts";
import { eventsOf } from "../dify/rig.ts";
import { startRelay, type Customer, type Relay } from "../harness.ts";
import type { Things, Way } from "./ways.ts";

/** A price for everything that a route can count, in credits: of 1000 tokens, or of one. */
const PRICES = {
  cached_input_price: "0.31",
  cache_write_price: "3.9",
  reasoning_price: "17.3",
  request_price: "0.0123",
  image_price: "0.5",
  second_price: "0.07",
  character_price: "0.0011",
};
/** What every provider counts, where it counts. */
export const COUNTED = "[[usage:1500,800]] [[chunks:4]]";
/** Far from being reached. */
export const WIDE = {
  requests_per_minute: 1_000_000,
  requests_per_second: 1_000_000,
  tokens_per_minute: 1_000_000_000,
  max_parallel: 1_000,
};

/** Somebody whose calls are held against every kind of limit there is: an end-user token of a key of an account, at an address of its own. */
export interface Caller extends Customer {
  token: string;
  tokenId: string;
  ip: string;
  model: string;
  things: Things;
}

export interface LimitRig {
  relay: Relay;
  databaseUrl: string;
  upstream: Awaited<ReturnType<typeof startUpstream>>;
  /** A caller with a model of its own, and with things at its provider. */
  caller(speaks: Speaks, limits?: { user?: object; key?: object; token?: object }): Promise<Caller>;
  ask(way: Way, caller: Caller, signal?: AbortSignal): Promise<Response>;
  /** Writes something and waits until the relay has heard of it. */
  change(topic: Topic, id: string, sql: string, values: unknown[]): Promise<void>;
}

const NOTHING: Things = { conversation: "", message: "", task: "", run: "", form: "", question: "", file: "", response: "" };

/** A relay before providers of every kind. Call it inside `describe`. */
export function useLimitRig(): LimitRig {
  const places = useStack();
  const rig = {} as LimitRig;
  let callers = 0;

  before(async () => {
    rig.upstream = await startUpstream();
    rig.databaseUrl = places.databaseUrl;
    rig.relay = await startRelay(places, { TRUST_PROXY: "1", HOLD_TTL: "60s" });
  });
  beforeEach(async () => {
    await rig.upstream.reset();
    await rig.upstream.tell(COUNTED);
  });
  after(async () => {
    const verdict = await rig.relay?.ledger.verify();
    await rig.relay?.close();
    await rig.upstream?.close();
    expect(verdict?.differences).to.deep.equal([]);
  });

  async function post(caller: Caller, path: string, body: object | FormData): Promise<Response> {
    const isForm = body instanceof FormData;
    const answer = await fetch(rig.relay.url + path, {
      method: "POST",
      headers: {
        authorization: `Bearer ${caller.token}`,
        "x-forwarded-for": caller.ip,
        ...(isForm ? {} : { "content-type": "application/json" }),
      },
      body: isForm ? body : JSON.stringify(body),
    });
    expect(answer.status, path).to.be.within(200, 201);
    return answer;
  }

  async function thingsOf(caller: Caller, speaks: Speaks): Promise<Things> {
    const { model } = caller;
    if (speaks === "openai") {
      const { id } = (await (await post(caller, "/v1/responses", { model, input: "Which way?" })).json()) as { id: string };
      return { ...NOTHING, response: id };
    }
    if (speaks === "claude") return NOTHING;
    const stream = async (path: string, body: object) =>
      eventsOf(await (await post(caller, path, { model, user: "x", response_mode: "streaming", ...body })).text());
    const chat = await stream("/dify/v1/chat-messages", { inputs: {}, query: `[[app:chatflow]] ${COUNTED} Which way?` });
    const end = chat.find(({ event }) => event === "message_end")!;
    // A run that waits for a person's word, and goes on.
    const pause = () => stream("/dify/v1/workflows/run", { inputs: { query: `[[outcome:paused]] [[usage:300,200]] Which way?` } });
    const formOf = (events: Record<string, unknown>[]): string => (events.at(-2)!["data"] as { form_token: string }).form_token;
    const paused = await pause();
    const form = formOf(paused);
    await post(caller, `/dify/v1/form/human_input/${form}?model=${model}`, { inputs: {}, action: "approve" });
    const upload = new FormData();
    upload.append("model", model);
    upload.append("file", new Blob(["a picture"], { type: "image/png" }), "a.png");
    const { id } = (await (await post(caller, "/dify/v1/files/upload", upload)).json()) as { id: string };
    const text = (name: string): string => end[name] as string;
    return {
      ...NOTHING,
      conversation: text("conversation_id"),
      message: text("message_id"),
      task: text("task_id"),
      run: paused.at(-1)!["workflow_run_id"] as string,
      form,
      question: formOf(await pause()),
      file: id,
    };
  }

  rig.caller = async (speaks, { user = WIDE, key = {}, token = {} } = {}) => {
    const { relay } = rig;
    const model = await relay.model([rig.upstream.url], {
      apiFormat: speaks,
      maxOutput: 2_000,
      input: "3.1",
      output: "15.7",
      prices: PRICES,
    });
    const customer = await relay.customer({ credits: "100000", userLimits: user, keyLimits: key });
    const tokens = createEndUserTokens({ pool: relay.pool, ledger: relay.ledger, changes: createChanges(relay.invalidation) });
    const settings = { ttlSeconds: 600, budget: 50_000_000_000n, limits: token, models: null, allowedIps: null, endUser: null };
    const minted = await tokens.mint(customer.keyId, settings);
    callers += 1;
    const ip = `198.51.${100 + Math.floor(callers / 250)}.${(callers % 250) + 1}`;
    const caller: Caller = { ...customer, token: minted.token, tokenId: minted.id, ip, model, things: NOTHING };
    caller.things = await thingsOf(caller, speaks);
    return caller;
  };

  rig.ask = (way, caller, signal) => {
    const body = way.body?.(caller.model);
    return fetch(rig.relay.url + way.path(caller.things, caller.model), {
      method: way.method,
      headers: {
        authorization: `Bearer ${caller.token}`,
        "x-forwarded-for": caller.ip,
        "x-dify-app": caller.model,
        ...(body ? { "content-type": body.type } : {}),
      },
      ...(body ? { body: body.bytes } : {}),
      ...(signal ? { signal } : {}),
    });
  };

  rig.change = async (topic, id, sql, values) => {
    const { pool, invalidation } = rig.relay;
    const heard = new Promise<void>((resolve) => invalidation.on(topic, (which) => which === id && resolve()));
    await pool.query(sql, values);
    await pool.query("SELECT pg_notify('tollkeeper_changed', $1)", [`${topic}:${id}`]);
    await heard;
  };
  return rig;
}

/** Sets a limit that callers share; `model` is of a model's own. */
export const setShared = (
  rig: LimitRig,
  scope: "ip" | "model" | "global",
  limits: object,
  model: string | null,
  weight: number | null = null,
) =>
  rig.change(
    "settings",
    "limits",
    "INSERT INTO gateway_limits (id, scope, model, limits, token_weight_percent) VALUES ($1, $2, $3, $4, $5)",
    [uuidv7(), scope, model, limits, weight],
  );

/** Takes away all that was set, and what was counted for it. */
export async function clearShared(rig: LimitRig): Promise<void> {
  await rig.change("settings", "limits", "DELETE FROM gateway_limits", []);
  const counted = await rig.relay.redis.keys("tk:g:*");
  if (counted.length > 0) await rig.relay.redis.del(...counted);
}
