import { expect } from "chai";
import { tokensOf } from "../../../../dev/upstream/content/tokens.ts";
import { promptTokens } from "../../../../dev/upstream/openai-chat/plan.ts";
import { chatBody, messageBody, tokensCost, type Case, type Given } from "./case.ts";

type Client = Case["client"];
const CLIENTS: Client[] = ["openai", "anthropic"];

const whole = (client: Client, directives: string): Pick<Case, "client" | "ask" | "body"> =>
  client === "openai" ? { client, ask: "chat", body: chatBody(directives) } : { client, ask: "message", body: messageBody(directives) };
const streamed = (client: Client, directives: string): Pick<Case, "client" | "ask" | "body"> =>
  client === "openai"
    ? { client, ask: "chatStream", body: chatBody(directives) }
    : { client, ask: "messageStream", body: messageBody(directives) };

const FAILED = { status: "failed", cost: "0" };
const GONE = { status: "client_gone", cost: "0" };
const times = <T>(count: number, of: T): T[] => Array.from({ length: count }, () => of);

/** Silent after five pieces, so that what was delivered is known to the letter. */
const FIVE = "[[chunks:20]] [[fault:silent after=5]]";
const SHORT = "[[usage:10,10]]";
const five = ({ pieces }: Given): string => pieces.slice(0, 5).join("");

/** What fails at the provider, and how often the clients repeat it on their own. */
const failing = (client: Client): Case[] => [
  {
    ...whole(client, "[[fault:status code=500]]"),
    name: "a provider that fails is asked for by three calls, as the client likes, and costs nothing",
    alone: true,
    sent: times(3, 502),
    sees: () => ({ error: { class: "InternalServerError", status: 502, code: "upstream_error" } }),
    costs: "0",
    records: times(3, FAILED),
    calls: null,
  },
  {
    ...whole(client, "[[fault:status code=429 retry_after=1]]"),
    name: "a provider that has too much to do is said with the seconds to wait, and waited for",
    alone: true,
    options: { retries: 1 },
    sent: [429, 429],
    sees: () => ({ error: { class: "RateLimitError", status: 429, code: "upstream_rate_limited", retryAfter: "1" } }),
    costs: "0",
    records: times(2, FAILED),
    calls: null,
  },
  {
    ...whole(client, "[[fault:status code=400]]"),
    name: "what the provider refuses is shown in its own words, once",
    alone: true,
    sent: [400],
    sees: () => ({ error: { class: "BadRequestError", status: 400, type: "invalid_request_error" } }),
    check: ({ error }) => void expect(error!.message).to.contain("The demo upstream was told to answer 400."),
    costs: "0",
    records: [FAILED],
  },
  {
    ...whole(client, "[[fault:status code=401]]"),
    name: "a provider that refuses our key is the operator's matter and not repeated",
    alone: true,
    sent: [502],
    sees: () => ({ error: { class: "InternalServerError", status: 502 } }),
    check: ({ error }) => void expect(error!.message).to.not.contain("demo upstream"),
    costs: "0",
    records: [FAILED],
    calls: null,
  },
  ...(["error_in_band", "die_mid_stream", "no_terminal"] as const).map((fault): Case => ({
    ...streamed(client, `[[chunks:20]] [[fault:${fault} after=5]]`),
    name: `a stream that breaks (${fault}) throws, is not repeated, and costs nothing`,
    alone: true,
    sees: (given) => ({ text: five(given), pieces: 5, error: {} }),
    check({ error }) {
      expect(error!.class).to.match(/^API(Status)?Error$/);
      expect(error!.message).to.match(/provider/);
    },
    costs: "0",
    records: [FAILED],
  })),
  {
    ...whole(client, "[[fault:hang]]"),
    name: "a provider that takes too long is a time-out, repeated as the client likes, and costs nothing",
    alone: true,
    provider: { timeouts: { first_byte_ms: 300, whole_ms: 300 } },
    options: { retries: 1 },
    sent: [504, 504],
    sees: () => ({ error: { status: 504, type: client === "openai" ? "timeout" : "timeout_error" } }),
    check: ({ error }) => void expect(error!.message).to.match(/in time/i),
    costs: "0",
    records: times(2, FAILED),
    calls: null,
    left: true,
  },
  {
    ...whole(client, "[[fault:hang]]"),
    name: "the client's own time-out ends the call, free of charge, and the provider is told",
    alone: true,
    options: { timeoutMs: 2_000, retries: 0 },
    sent: [null],
    sees: () => ({ error: { status: null } }),
    check: ({ error }) => void expect(error!.class).to.match(/^API(Connection)?TimeoutError$/),
    costs: "0",
    records: [GONE],
    left: true,
  },
  {
    ...whole(client, "[[fault:hang]]"),
    name: "the client repeats after its time-out: each call is one of its own",
    alone: true,
    options: { timeoutMs: 2_000, retries: 1 },
    sent: [null, null],
    sees: () => ({ error: { status: null } }),
    costs: "0",
    records: times(2, GONE),
    calls: 2,
    left: true,
  },
];

/** Calls that the user breaks off. */
const left: Case[] = [
  {
    ...streamed("openai", FIVE),
    name: "leaving in the middle is charged by what was delivered, and the provider is told",
    options: { leaveAfter: 5 },
    sees: (given) => ({ text: five(given), pieces: 5 }),
    costs: (_, given) => tokensCost(promptTokens([{ role: "user", content: given.ask(FIVE) }], undefined), tokensOf(five(given))),
    records: [{ status: "client_gone", estimated: true }],
    left: true,
  },
  {
    ...streamed("anthropic", `[[usage:1500,800]] ${FIVE}`),
    name: "leaving in the middle is charged by the provider's count of the prompt and what was delivered, and the provider is told",
    options: { leaveAfter: 5 },
    sees: (given) => ({ text: five(given), pieces: 5 }),
    costs: (_, given) => tokensCost(1_500, tokensOf(five(given))),
    records: [{ status: "client_gone", estimated: true }],
    left: true,
  },
];

/** The same of a response. */
const leftResponse: Case = {
  client: "openai",
  ask: "responseStream",
  body: ({ model, ask }) => ({ model, input: ask(FIVE), store: false }),
  name: "leaving a response in the middle is charged by what was delivered, and the provider is told",
  options: { leaveAfter: 5 },
  sees: (given) => ({ text: five(given), pieces: 5 }),
  // The prompt is counted here: the question, and what the format puts around it.
  costs(_, given) {
    const question = tokensOf(given.ask(FIVE));
    return tokensCost(question + 7, tokensOf(five(given)));
  },
  records: [{ status: "client_gone", estimated: true }],
  left: true,
};

/** Anthropic's own status. */
const overloaded: Case = {
  ...whole("anthropic", "[[fault:status code=529]]"),
  name: "an overloaded provider keeps its own status and word",
  alone: true,
  options: { retries: 0 },
  sent: [529],
  sees: () => ({ error: { status: 529, type: "overloaded_error" } }),
  costs: "0",
  records: [FAILED],
  calls: null,
};

/** Failures of the provider, time-outs, repeats and leaving. */
export const failureCases: Case[] = [...CLIENTS.flatMap(failing), overloaded, ...left, leftResponse, ...CLIENTS.map(behindHold)];

/** A second call while the first holds the whole wallet. */
function behindHold(client: Client): Case {
  const body = (client === "openai" ? chatBody : messageBody)(SHORT, { max_tokens: 1_000 });
  const first = `${SHORT} ${FIVE}`;
  return {
    client,
    ask: "behindHold",
    name: "a call whose credit is held by another waits as it is told, and is served",
    body: (given) => ({
      first: (client === "openai" ? chatBody : messageBody)(first, { max_tokens: 1_000 })(given),
      second: body(given),
    }),
    // 1000 tokens out hold 60 credits, and the prompt a few more.
    credits: "70",
    options: { retries: 10 },
    sent(sent) {
      expect(sent.slice(0, 2)).to.deep.equal([200, 429]);
      expect(sent.at(-1)).to.equal(200);
    },
    sees: ({ answer }) => ({ text: answer }),
    costs(_, given) {
      // OpenAI's providers say what the prompt has at the end, Anthropic's at the beginning.
      const prompt = client === "openai" ? promptTokens([{ role: "user", content: given.ask(first) }], undefined) : 10;
      return tokensCost(prompt, tokensOf(five(given))) + tokensCost(10, 10);
    },
    records: [{ status: "ok" }, { status: "client_gone" }],
    calls: 2,
  };
}
