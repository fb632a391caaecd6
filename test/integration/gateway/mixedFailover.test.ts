import Anthropic from "@anthropic-ai/sdk";
import { expect } from "chai";
import OpenAI from "openai";
import { useStack } from "../../support/stack.ts";
import { startUpstream } from "../../support/upstream.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";

/** TEST_SCALE=full sends 1,000 calls where otherwise some hundred do. */
const CALLS = process.env["TEST_SCALE"] === "full" ? 1_000 : 200;
const AT_ONCE = 10;
const KEYS = 100;
const CREDITS = 100_000n;
/** 1500 and 800 tokens at 30 and 60 credits per 1000. */
const COST = 93_000_000n;

/** Each of these is met with one of a hundred keys that are used in turn. */
const FAULTS = [
  "status code=500",
  "status code=408",
  "status code=429",
  "status code=401",
  "status code=529",
  "dead",
  "die_after_headers",
  "html_page",
  "error_in_band after=0",
  "die_mid_stream after=0",
];

describe("one fault in ten while another provider, of the other format, is well", () => {
  const places = useStack();
  let relay: Relay;
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  let ada: Customer;

  before(async () => {
    upstream = await startUpstream();
    relay = await startRelay(places, { RELAY_RETRY_BASE: "5ms" });
  });
  beforeEach(async () => {
    ada = await relay.customer({ credits: CREDITS.toString() });
  });
  after(async () => {
    await relay?.close();
    await upstream?.close();
  });

  /** Four ways to ask the same; each answers the words. */
  function ways(model: string): (() => Promise<string>)[] {
    const openai = new OpenAI({ apiKey: ada.key, baseURL: `${relay.url}/v1`, maxRetries: 0 });
    const anthropic = new Anthropic({ apiKey: ada.key, baseURL: relay.url, maxRetries: 0 });
    const messages = [{ role: "user" as const, content: "Hello [[usage:1500,800]] [[chunks:8]]" }];
    const asked = { model, messages, max_tokens: 900 };
    return [
      async () => (await openai.chat.completions.create(asked)).choices[0]!.message.content ?? "",
      async () => {
        let said = "";
        for await (const chunk of await openai.chat.completions.create({ ...asked, stream: true }))
          said += chunk.choices[0]?.delta.content ?? "";
        return said;
      },
      async () => (await anthropic.messages.create(asked)).content.map((block) => (block.type === "text" ? block.text : "")).join(""),
      async () => anthropic.messages.stream(asked).finalText(),
    ];
  }

  for (const [faulty, well] of [
    ["openai", "claude"],
    ["claude", "openai"],
  ] as const) {
    it(`(${faulty}, then ${well}): none of ${CALLS} calls of either client fails, and each is charged once`, async () => {
      const keys = Array.from({ length: KEYS }, (_, i) => `${faulty}-${i}`);
      const model = await relay.model([upstream.url, upstream.url], {
        maxOutput: 10_000,
        providers: [{ apiFormat: faulty, keys }, { apiFormat: well }],
      });
      await upstream.tell("", { keys: Object.fromEntries(FAULTS.map((fault, i) => [keys[i * 10]!, `[[fault:${fault}]]`])) });
      const kinds = ways(model);
      const answers: string[] = [];
      let started = 0;
      await Promise.all(
        Array.from({ length: AT_ONCE }, async () => {
          for (let i = started++; i < CALLS; i = started++) {
            const said = await kinds[i % kinds.length]!().catch((error: unknown) => `failed: ${String(error)}`);
            answers.push(said);
          }
        }),
      );
      expect(answers.filter((said) => said === "" || said.startsWith("failed"))).to.deep.equal([]);
      expect(new Set(answers).size, "the same words from everywhere").to.equal(1);
      const { rows } = await relay.pool.query<{ failed: number }>(
        `SELECT count(*)::int AS failed FROM usage_events, jsonb_array_elements(attempts::jsonb) AS tried
         WHERE wallet_id = $1 AND tried->>'status' = 'failed'`,
        [ada.walletId],
      );
      expect(rows[0]!.failed).to.be.at.least(CALLS * 0.08);
      await relay.settle();
      expect(await relay.balance(ada)).to.deep.equal({ total: (CREDITS * 1_000_000n - BigInt(CALLS) * COST).toString(), held: "0" });
    });
  }
});
