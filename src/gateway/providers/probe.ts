import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from "openai";
import { Agent, fetch as undiciFetch } from "undici";
import { PrivateAddressError, upstreamConnector } from "./address.ts";
import type { UpstreamProvider } from "./catalog.ts";
import type { TestResult } from "./schema.ts";

const PATIENCE_MS = 10_000;
const MODELS_SHOWN = 500;
const MESSAGE_LENGTH = 300;

type Failure = NonNullable<TestResult["error"]>;

function causeOf<T>(error: unknown, test: (candidate: unknown) => candidate is T): T | undefined {
  for (let current = error; current; current = (current as { cause?: unknown }).cause) if (test(current)) return current;
  return undefined;
}

function deepestMessage(error: unknown): string {
  let message = "";
  for (let current = error; current; current = (current as { cause?: unknown }).cause) {
    const { message: said, code } = current as { message?: string; code?: string };
    if (said || code) message = said || code || message;
  }
  return message;
}

function kindOf(status: number): Failure["kind"] {
  if (status === 401 || status === 403) return "authentication";
  if (status === 404 || status === 405) return "not_found";
  if (status === 429) return "rate_limited";
  return "upstream_error";
}

/** What went wrong in words an operator can act on; a vendor that repeats the key in its message does not get it shown. */
function failureOf(error: unknown, secrets: readonly string[]): Failure {
  const clean = (text: string) => secrets.reduce((shown, secret) => shown.replaceAll(secret, "[key]"), text).slice(0, MESSAGE_LENGTH);
  const blocked = causeOf(error, (candidate): candidate is PrivateAddressError => candidate instanceof PrivateAddressError);
  if (blocked) return { kind: "private_address", message: clean(blocked.message) };
  if (error instanceof APIConnectionTimeoutError) return { kind: "timeout", message: `no answer within ${PATIENCE_MS / 1_000} s` };
  if (error instanceof APIConnectionError) return { kind: "connection", message: clean(deepestMessage(error)) };
  if (error instanceof APIError && typeof error.status === "number")
    return { kind: kindOf(error.status), status: error.status, message: clean(error.message) };
  return { kind: "malformed", message: clean(error instanceof Error ? error.message : "the answer could not be read") };
}

/**
 * Calls a provider as the relay would: lists its models, or asks `model` (the name there) for one token. Never throws; it does not
 * follow redirects, and does not connect to private addresses unless allowed.
 */
export async function probeProvider(
  provider: UpstreamProvider,
  options: { model?: string | undefined; allowPrivate: boolean },
): Promise<TestResult> {
  const dispatcher = new Agent({
    connect: upstreamConnector({ allowPrivate: options.allowPrivate, timeoutMs: provider.timeouts.connectMs }),
  });
  const guardedFetch = (url: unknown, init?: object) => undiciFetch(url as string, { ...init, dispatcher, redirect: "manual" });
  const client = new OpenAI({
    apiKey: provider.keys[0]!.value,
    baseURL: provider.apiRoot,
    defaultHeaders: provider.headers,
    maxRetries: 0,
    timeout: PATIENCE_MS,
    organization: null,
    project: null,
    fetch: guardedFetch as unknown as typeof fetch,
  });
  const started = performance.now();
  const latency = () => Math.round((performance.now() - started) * 10) / 10;
  const { model } = options;
  const checked = model === undefined ? "models" : "chat";
  try {
    if (model === undefined) {
      const { data } = await client.models.list();
      if (!Array.isArray(data)) throw new Error("the answer is no list of models: is this the base URL of an OpenAI-format API?");
      const models = data.map((entry) => String(entry.id)).slice(0, MODELS_SHOWN);
      return { ok: true, checked, latency_ms: latency(), models };
    }
    const answer = await client.chat.completions.create({
      model,
      max_completion_tokens: 16,
      messages: [{ role: "user", content: "Say hi." }],
    });
    if (!Array.isArray(answer.choices)) throw new Error("the answer is no chat completion");
    return { ok: true, checked, latency_ms: latency() };
  } catch (error) {
    return {
      ok: false,
      checked,
      latency_ms: latency(),
      error: failureOf(error, [...provider.keys.map(({ value }) => value), ...Object.values(provider.headers).filter(Boolean)]),
    };
  } finally {
    await dispatcher.destroy().catch(() => undefined);
  }
}
