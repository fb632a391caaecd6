import { APIConnectionError, APIConnectionTimeoutError, APIError } from "openai";
import { Agent } from "undici";
import { PrivateAddressError, guardedConnector } from "../../platform/addresses.ts";
import type { UpstreamProvider } from "./catalog.ts";
import type { ProviderKey } from "./key.ts";
import { difyClient, openaiClient, plainClient, StatusError, type ProbeClient } from "./probeClient.ts";
import type { ProbeError, TestResult } from "./schema.ts";

const PATIENCE_MS = 10_000;
const MODELS_SHOWN = 500;
const MESSAGE_LENGTH = 300;

const CLIENTS = { openai: openaiClient, claude: plainClient, custom: plainClient, dify: difyClient };

export interface ProbeOptions {
  key: ProviderKey;
  allowPrivate: boolean;
}

/** The error and what it came of, outermost first. */
function chain(error: unknown): unknown[] {
  const all: unknown[] = [];
  for (let current = error; current && all.length < 10; current = (current as { cause?: unknown }).cause) all.push(current);
  return all;
}

function deepestMessage(error: unknown): string {
  let message = "";
  for (const { message: said, code } of chain(error) as { message?: string; code?: string }[]) {
    if (said || code) message = said || code || message;
  }
  return message;
}

function kindOf(status: number): ProbeError["kind"] {
  if (status === 401 || status === 403) return "authentication";
  if (status === 404 || status === 405) return "not_found";
  if (status === 429) return "rate_limited";
  return "upstream_error";
}

/** What went wrong in words an operator can act on; a vendor that repeats the key in its message does not get it shown. */
function errorOf(error: unknown, secrets: readonly string[]): ProbeError {
  const clean = (text: string) => secrets.reduce((shown, secret) => shown.replaceAll(secret, "[key]"), text).slice(0, MESSAGE_LENGTH);
  const blocked = chain(error).find((one): one is PrivateAddressError => one instanceof PrivateAddressError);
  if (blocked) return { kind: "private_address", message: clean(blocked.message) };
  if (error instanceof APIConnectionTimeoutError || (error as Error | undefined)?.name === "TimeoutError")
    return { kind: "timeout", message: `no answer within ${PATIENCE_MS / 1_000} s` };
  const fetchFailed = error instanceof TypeError && error.cause !== undefined;
  if (error instanceof APIConnectionError || fetchFailed) return { kind: "connection", message: clean(deepestMessage(error)) };
  if ((error instanceof APIError || error instanceof StatusError) && typeof error.status === "number")
    return { kind: kindOf(error.status), status: error.status, message: clean(error.message) };
  return { kind: "malformed", message: clean(error instanceof Error ? error.message : "the answer could not be read") };
}

/** Runs one question; it does not follow redirects, and does not connect to private addresses unless allowed. Never rejects. */
async function ask<T>(
  provider: UpstreamProvider,
  options: ProbeOptions,
  question: (client: ProbeClient) => Promise<T>,
): Promise<{ answer: T; error?: undefined } | { error: ProbeError }> {
  const connect = guardedConnector({ allowPrivate: options.allowPrivate, timeoutMs: provider.timeouts.connectMs });
  const dispatcher = new Agent({ connect });
  try {
    const create = CLIENTS[provider.apiFormat];
    return { answer: await question(create(provider, options.key, dispatcher, PATIENCE_MS)) };
  } catch (error) {
    return { error: errorOf(error, [...provider.keys.map(({ value }) => value), ...Object.values(provider.headers).filter(Boolean)]) };
  } finally {
    await dispatcher.destroy().catch(() => undefined);
  }
}

/** Calls a provider as the relay would: lists its models, or asks `model` (the name there) for a token or a few. Never rejects. */
export async function probeProvider(
  provider: UpstreamProvider,
  options: ProbeOptions & { model?: string | undefined },
): Promise<TestResult> {
  const { model } = options;
  const started = performance.now();
  const checked = model === undefined ? "models" : "chat";
  const asked = await ask<string[] | void>(provider, options, (client) => (model === undefined ? client.models() : client.chat(model)));
  const latency_ms = Math.round((performance.now() - started) * 10) / 10;
  if (asked.error) return { ok: false, checked, latency_ms, error: asked.error };
  const models = asked.answer ? { models: asked.answer.slice(0, MODELS_SHOWN) } : {};
  return { ok: true, checked, latency_ms, ...models };
}

/** The names of the models that a provider offers. Never rejects. */
export const listUpstreamModels = (provider: UpstreamProvider, options: ProbeOptions) =>
  ask(provider, options, (client) => client.models());
