import OpenAI from "openai";
import { fetch as undiciFetch, type Dispatcher } from "undici";
import type { UpstreamProvider } from "./catalog.ts";
import type { ProviderKey } from "./key.ts";
import { shapeBody, upstreamAuth, upstreamUrl } from "./speak.ts";

/** Asks a provider small questions, for operators. */
export interface ProbeClient {
  /** The names of its models. */
  models(): Promise<string[]>;
  /** Asks a model for next to nothing; rejects when the answer is none. */
  chat(model: string): Promise<void>;
}

/** An answer with another status than 200. */
export class StatusError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const QUESTION = [{ role: "user" as const, content: "Say hi." }];
const BODY_LIMIT = 8 * 1024 * 1024;
const PAGES = 10;

/** OpenAI's own client, for providers of its format. */
export function openaiClient(provider: UpstreamProvider, key: ProviderKey, dispatcher: Dispatcher, patienceMs: number): ProbeClient {
  const guardedFetch = (url: unknown, init?: object) => undiciFetch(url as string, { ...init, dispatcher, redirect: "manual" });
  const client = new OpenAI({
    apiKey: key.value,
    baseURL: provider.apiRoot,
    defaultHeaders: provider.headers,
    maxRetries: 0,
    timeout: patienceMs,
    organization: null,
    project: null,
    fetch: guardedFetch as unknown as typeof fetch,
  });
  return {
    async models() {
      const { data } = await client.models.list();
      if (!Array.isArray(data)) throw new Error("the answer is no list of models: is this the base URL of an OpenAI-format API?");
      return data.map((entry) => String(entry.id));
    },
    async chat(model) {
      const answer = await client.chat.completions.create({ model, max_completion_tokens: 16, messages: QUESTION });
      if (!Array.isArray(answer.choices)) throw new Error("the answer is no chat completion");
    },
  };
}

interface ModelPage {
  data?: { id?: unknown }[];
  has_more?: boolean;
  last_id?: string;
}

/** Plain HTTP with the provider's own headers, paths and fields, for Anthropic's format and custom ones. */
export function plainClient(provider: UpstreamProvider, key: ProviderKey, dispatcher: Dispatcher, patienceMs: number): ProbeClient {
  const claude = provider.speaks === "claude";

  async function request(url: string, model: string, body?: Record<string, unknown>): Promise<unknown> {
    const auth = upstreamAuth(provider, key.value, model);
    const headers: Record<string, string> = { accept: "application/json" };
    for (let i = 0; i < auth.length; i += 2) headers[auth[i]!] = auth[i + 1]!;
    for (const [name, value] of Object.entries(provider.headers)) headers[name.toLowerCase()] = value;
    const response = await undiciFetch(url, {
      dispatcher,
      redirect: "manual",
      signal: AbortSignal.timeout(patienceMs),
      ...(body
        ? {
            method: "POST",
            headers: { ...headers, "content-type": "application/json" },
            body: JSON.stringify(shapeBody(provider, body, model)),
          }
        : { headers }),
    });
    const text = await readText(response.body);
    if (response.status !== 200) throw new StatusError(response.status, messageOf(text) ?? `status ${response.status}`);
    return JSON.parse(text);
  }

  return {
    async models() {
      const url = upstreamUrl(provider, "/models", "");
      const names: string[] = [];
      let after: string | undefined;
      for (let page = 0; page < PAGES; page++) {
        const query = claude ? `${url.includes("?") ? "&" : "?"}limit=1000${after ? `&after_id=${encodeURIComponent(after)}` : ""}` : "";
        const { data, has_more, last_id } = ((await request(url + query, "")) ?? {}) as ModelPage;
        if (!Array.isArray(data)) throw new Error("the answer is no list of models: is this the base URL of the API?");
        names.push(...data.map((entry) => String(entry.id)));
        after = typeof last_id === "string" ? last_id : undefined;
        if (!claude || has_more !== true || !after) break;
      }
      return names;
    },
    async chat(model) {
      const path = claude ? "/messages" : "/chat/completions";
      const body = { model, max_tokens: claude ? 1 : 16, messages: QUESTION };
      const answer = ((await request(upstreamUrl(provider, path, model), model, body)) ?? {}) as Record<string, unknown>;
      if (claude ? answer["type"] !== "message" : !Array.isArray(answer["choices"])) throw new Error("the answer is no completion");
    },
  };
}

/** A Dify app: it has no models, and is asked only what costs nothing. */
export function difyClient(provider: UpstreamProvider, key: ProviderKey, dispatcher: Dispatcher, patienceMs: number): ProbeClient {
  async function get(path: string): Promise<Record<string, unknown>> {
    const response = await undiciFetch(upstreamUrl(provider, path, ""), {
      dispatcher,
      redirect: "manual",
      signal: AbortSignal.timeout(patienceMs),
      headers: { ...provider.headers, accept: "application/json", authorization: `Bearer ${key.value}` },
    });
    const text = await readText(response.body);
    if (response.status !== 200) throw new StatusError(response.status, messageOf(text) ?? `status ${response.status}`);
    return JSON.parse(text) as Record<string, unknown>;
  }
  return {
    async models() {
      const { name } = (await get("/info")) ?? {};
      if (typeof name !== "string") throw new Error("the answer is not about an app: is this the base URL of Dify's API?");
      return [name];
    },
    async chat() {
      const { user_input_form: form } = (await get("/parameters")) ?? {};
      if (!Array.isArray(form)) throw new Error("the answer is not about an app");
    },
  };
}

async function readText(body: AsyncIterable<Uint8Array> | null): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body ?? []) {
    size += part.length;
    if (size > BODY_LIMIT) throw new Error("the answer is too large");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function messageOf(text: string): string | undefined {
  try {
    const { error, message } = JSON.parse(text) as { error?: { message?: unknown } | string; message?: unknown };
    const said = typeof error === "string" ? error : (error?.message ?? message);
    return typeof said === "string" ? said : undefined;
  } catch {
    return undefined;
  }
}
