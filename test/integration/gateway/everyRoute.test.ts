import { expect } from "chai";
import { formatCredits, parseCredits } from "../../../src/platform/credits.ts";
import type { UsageRow } from "../../../src/usage/models.ts";
import { userView } from "../../../src/usage/views.ts";
import { encode } from "../../support/samples.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { startUpstream } from "../../support/upstream.ts";
import { askings, type Asking } from "./faults/askings.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";

/** A price for everything that a route can count, in credits: of 1000 tokens, or of one. */
const PRICES = {
  input_price: "3.1",
  output_price: "15.7",
  cached_input_price: "0.31",
  cache_write_price: "3.9",
  cache_write_1h_price: "6.3",
  reasoning_price: "17.3",
  request_price: "0.0123",
  image_price: "0.5",
  second_price: "0.07",
  character_price: "0.0011",
  web_search_price: "0.9",
};
/** Far from being reached: what is asked is what they have counted. */
const WIDE = { requests_per_minute: 1_000_000, tokens_per_minute: 1_000_000_000, max_parallel: 1_000 };
const MICRO = 1_000_000n;
const AT_ONCE = 4;

type Shown = ReturnType<typeof userView>;
const micro = (name: keyof typeof PRICES): bigint => parseCredits(PRICES[name])!;

/** The cost of a call from nothing but what its user is shown, added up the long way. */
function worth(call: Shown): bigint {
  const short = call.cache_write_tokens - call.cache_write_1h_tokens;
  const plain = call.input_tokens - call.cached_input_tokens - call.cache_write_tokens;
  const thousandths =
    BigInt(plain) * micro("input_price") +
    BigInt(call.cached_input_tokens) * micro("cached_input_price") +
    BigInt(short) * micro("cache_write_price") +
    BigInt(call.cache_write_1h_tokens) * micro("cache_write_1h_price") +
    BigInt(call.output_tokens - call.reasoning_tokens) * micro("output_price") +
    BigInt(call.reasoning_tokens) * micro("reasoning_price");
  const { requests = 1, images = 0, seconds = 0, characters = 0, searches = 0 } = call.units ?? {};
  const units =
    BigInt(requests) * micro("request_price") +
    BigInt(images) * micro("image_price") +
    BigInt(seconds) * micro("second_price") +
    BigInt(characters) * micro("character_price") +
    BigInt(searches) * micro("web_search_price");
  return units + (thousandths + 999n) / 1_000n;
}

describe("every route at every kind of provider", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: Awaited<ReturnType<typeof startUpstream>>;

  before(async () => {
    [relay, upstream] = await Promise.all([startRelay(places, { HOLD_TTL: "60s" }), startUpstream()]);
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  async function ask({ sample, title }: Asking, model: string, customer: Customer): Promise<void> {
    const { type, bytes } = encode({ ...sample, body: { ...sample.body, model } });
    const headers = { authorization: `Bearer ${customer.key}`, "content-type": type };
    const answer = await fetch(relay.url + sample.path, { method: "POST", headers, body: bytes });
    const said = await answer.text();
    expect(answer.status, `${title}: ${said}`).to.equal(200);
  }

  /** Counters of the account in Redis, over the window that runs and the one before. */
  async function counted({ userId }: Customer, suffix: "r" | "t"): Promise<number> {
    const [, current, previous] = (await relay.redis.get(`tk:{u:${userId}}:${suffix}`))!.split(" ").map(Number) as [number, number, number];
    return current + previous;
  }

  async function shown({ userId }: Customer): Promise<Shown[]> {
    await relay.settle();
    const { rows } = await relay.pool.query<UsageRow>("SELECT * FROM usage_events WHERE user_id = $1 ORDER BY id", [userId]);
    return rows.map(userView);
  }

  it("what is shown is what limits counted and what was charged", async function () {
    this.timeout(90_000);
    const all = askings();
    const free = all.filter(({ format }) => format.free);
    const { input_price: input, output_price: output, ...prices } = PRICES;
    const models = new Map<string, string>();
    for (const apiFormat of new Set(all.map(({ speaks }) => speaks))) {
      models.set(apiFormat, await relay.model([upstream.url], { apiFormat, maxOutput: 10_000, input, output, prices }));
    }
    const ada = await relay.customer({ credits: "100000", userLimits: WIDE });
    const before = BigInt((await relay.balance(ada)).total);
    const left = [...all];
    const lane = async (): Promise<void> => {
      for (let next = left.shift(); next; next = left.shift()) await ask(next, models.get(next.speaks)!, ada);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));

    const calls = await waitFor(
      async () => {
        const found = await shown(ada);
        return found.length === all.length - free.length && found.every(({ cost }) => cost !== null) ? found : undefined;
      },
      { timeoutMs: 10_000, message: "every call to be settled" },
    );
    expect(new Set(calls!.map(({ route }) => route))).to.deep.equal(
      new Set(all.filter(({ format }) => !format.free).map(({ format }) => format.route)),
    );
    for (const call of calls!) {
      expect(call.status, call.route!).to.equal("ok");
      expect(call.cost, JSON.stringify(call)).to.equal(formatCredits(worth(call)));
      expect(parseCredits(call.cost!)! > 12_300n, `${call.route} counts more than its request`).to.equal(true);
    }
    const charged = before - BigInt((await relay.balance(ada)).total);
    expect(formatCredits(charged)).to.equal(formatCredits(calls!.reduce((sum, { cost }) => sum + parseCredits(cost!)!, 0n)));
    expect(charged > MICRO).to.equal(true);
    const tokens = calls!.reduce((sum, call) => sum + call.input_tokens + call.output_tokens, 0);
    await waitFor(async () => (await counted(ada, "t")) === tokens, {
      timeoutMs: 3_000,
      message: `limits to have counted ${tokens} tokens`,
    });
    expect(await counted(ada, "r")).to.equal(all.length);
    expect((await relay.ledger.verify()).differences).to.deep.equal([]);
  });
});
