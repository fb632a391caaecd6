import { expect } from "chai";
import { chatBody, messageBody, type Case } from "./case.ts";

const FREE: Pick<Case, "costs" | "records" | "calls"> = { costs: "0", records: [], calls: 0 };
/** In the same words for both clients. */
const asked = (client: Case["client"]): Pick<Case, "client" | "ask" | "body"> =>
  client === "openai" ? { client, ask: "chat", body: chatBody("") } : { client, ask: "message", body: messageBody("") };

interface Refusal extends Partial<Case> {
  status: number;
  /** The exception's class: of both clients, or of each; one that the languages name otherwise is left out. */
  thrown?: string | { openai?: string; anthropic?: string };
  code: string;
  type?: { openai: string; anthropic: string };
}

function refusal(client: Case["client"], { status, thrown, code, type, ...more }: Refusal): Case {
  const name = typeof thrown === "string" ? thrown : thrown?.[client];
  return {
    ...asked(client),
    name: code,
    ...FREE,
    sent: [status],
    ...more,
    sees: () => ({
      error: {
        status,
        code: client === "openai" && code === "unauthenticated" ? "invalid_api_key" : code,
        ...(name === undefined ? {} : { class: name }),
        ...(type === undefined ? {} : { type: type[client] }),
      },
    }),
    check(seen) {
      expect(seen.error!.message).to.be.a("string").that.is.not.empty;
      expect(seen.error!.requestId).to.match(/^[\w-]{8,}$/);
    },
  };
}

const REFUSALS: Refusal[] = [
  {
    status: 401,
    thrown: "AuthenticationError",
    code: "unauthenticated",
    type: { openai: "invalid_request_error", anthropic: "authentication_error" },
    name: "a key that does not exist",
    key: null,
  },
  {
    status: 402,
    thrown: { anthropic: "PaymentRequiredError" },
    code: "insufficient_balance",
    type: { openai: "insufficient_quota", anthropic: "billing_error" },
    name: "an empty wallet, said once",
    credits: "0.01",
  },
  {
    status: 403,
    thrown: "PermissionDeniedError",
    code: "model_not_allowed",
    type: { openai: "permission_error", anthropic: "permission_error" },
    name: "a model that the key may not use",
    key: { models: ["sdk/other"] },
  },
  {
    status: 404,
    thrown: "NotFoundError",
    code: "model_not_found",
    type: { openai: "invalid_request_error", anthropic: "not_found_error" },
    name: "a model that does not exist",
    body: () => ({ model: "sdk/no-such", max_tokens: 900, messages: [{ role: "user", content: "Hello" }] }),
  },
  {
    status: 429,
    thrown: "RateLimitError",
    code: "spend_limit_reached",
    type: { openai: "insufficient_quota", anthropic: "rate_limit_error" },
    name: "a spent budget, said once",
    key: { limits: { spend_total: "0.01" } },
  },
  {
    status: 503,
    thrown: { openai: "InternalServerError" },
    code: "model_not_priced",
    type: { openai: "server_error", anthropic: "api_error" },
    name: "a model without a price, said once",
    model: "unpriced",
  },
  {
    status: 413,
    code: "payload_too_large",
    type: { openai: "invalid_request_error", anthropic: "request_too_large" },
    name: "a request of 40 MB",
    ask: "tooLarge",
    body: ({ model }) => ({ model, characters: 40_000_000 }),
  },
];

/** What is refused before a provider is asked, and how the clients show it. */
export const refusalCases: Case[] = (["openai", "anthropic"] as const).flatMap((client) => [
  ...REFUSALS.map((one) => refusal(client, one)),
  {
    ...asked(client),
    ...FREE,
    name: "more requests than the account may make, with the seconds to wait",
    limits: { requests_per_minute: 1 },
    before: (api, key) => fetch(`${api}/v1/models`, { headers: { authorization: `Bearer ${key}` } }),
    options: { retries: 0 },
    sent: [429],
    sees: () => ({ error: { class: "RateLimitError", status: 429, code: "rate_limited" } }),
    check: ({ error }) => void expect(Number(error!.retryAfter)).to.be.within(1, 120),
  },
  {
    ...asked(client),
    ...FREE,
    name: "a field that cannot be read, by its name",
    body: ({ model, ask }) => ({ model, max_tokens: 900, messages: [{ role: "user", content: ask() }], ...badField(client) }),
    sent: [400],
    sees: () => ({ error: { class: "BadRequestError", status: 400, type: "invalid_request_error" } }),
    check: ({ error }) => void expect(error!.message).to.match(/stop/),
  },
]);

const badField = (client: Case["client"]): object => (client === "openai" ? { stop: 5 } : { stop_sequences: 5 });
