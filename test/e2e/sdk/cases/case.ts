import type { Seen, Task } from "../seen.ts";

/** A model as the product is told of it, with what serves it and what it costs. */
export type ModelKind = "chat" | "claude" | "unpriced" | "speech" | "whisper" | "pictures" | "moderation";

/** What a case knows when its request is made. */
export interface Given {
  /** In every question, so that what arrives at the provider can be found. */
  id: string;
  model: string;
  upstream: string;
  /** What is asked, with directives for the demo upstream. */
  ask(directives?: string): string;
  /** What the demo upstream answers to that. */
  answer: string;
  /** Pieces of that answer. */
  pieces: string[];
}

/** One row of the table: what is asked with an official client, and what is to come of it. */
export interface Case {
  /** What a user sees. */
  name: string;
  client: Task["client"];
  ask: string;
  /** "chat", served in OpenAI's format, for that client, "claude" for Anthropic's, unless said. */
  model?: ModelKind;
  /** The provider fails: the model and its provider are this case's alone. */
  alone?: true;
  /** What else is said of a provider that is this case's alone. */
  provider?: Record<string, unknown>;
  credits?: string;
  /** Limits of the account. */
  limits?: Record<string, unknown>;
  /** The key's own rules; null for one that does not exist. */
  key?: Record<string, unknown> | null;
  /** Done with the key before the client is used. */
  before?(api: string, key: string): Promise<unknown>;
  body(given: Given): Record<string, unknown>;
  options?: Pick<Task, "timeoutMs" | "retries" | "leaveAfter">;
  /** What is to be seen, as far as it goes. */
  sees?(given: Given): object;
  /** Everything else that is to be true of it; throws. */
  check?(seen: Seen, given: Given): void | Promise<void>;
  /** Status of each answer that the client gets; one 200 unless said. A function for what is not known beforehand. */
  sent?: (number | null)[] | ((sent: (number | null)[]) => void);
  /** Credits that the wallet pays; 93 (1500 and 800 tokens at 30 and 60 per 1000) unless said. */
  costs?: string | ((seen: Seen, given: Given) => bigint);
  /** Fields of each record of usage; one that is "ok" unless said. */
  records?: object[];
  /** Requests that arrive at the provider; one unless said, null when that is left open. */
  calls?: number | null;
  /** The provider saw that nobody listens any more. */
  left?: true;
}

/** 1500 and 800 tokens. */
export const COUNTED = "[[usage:1500,800]]";
export const IN_PARALLEL = "[[tool:get_weather,get_time]]";
export const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
/** What the demo upstream calls such tools with. */
export const TOOLS_CALLED = ["get_weather", "get_time"].map((name) => ({ name, input: { city: "some city" } }));
/** A picture of one dot. */
export const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

export const OPENAI_TOOLS = TOOLS_CALLED.map(({ name }) => ({ type: "function", function: { name, parameters: SCHEMA } }));
export const ANTHROPIC_TOOLS = TOOLS_CALLED.map(({ name }) => ({ name, input_schema: SCHEMA }));

/** Micro-credits of so many tokens at 30 and 60 credits per 1000. */
export const tokensCost = (input: number, output: number): bigint => BigInt(input) * 30_000n + BigInt(output) * 60_000n;

/** A question to OpenAI's chat models. */
export const chatBody =
  (directives: string, more: object = {}) =>
  ({ model, ask }: Given): Record<string, unknown> => ({ model, messages: [{ role: "user", content: ask(directives) }], ...more });

/** A question to Anthropic's. */
export const messageBody = (directives: string, more: object = {}) => chatBody(directives, { max_tokens: 900, ...more });
