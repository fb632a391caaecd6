import { randomBytes } from "node:crypto";
import { waitFor } from "./stack.ts";

/** What the tests need to know about a running product. */
export interface Product {
  api: string;
  inbox: string;
  sandbox: string;
  upstream: string;
  admin: { email: string; password: string };
}

export interface Answer<T = unknown> {
  status: number;
  headers: Headers;
  body: { success: boolean; message: string; data: T; error?: { code: string; details?: unknown }; trace_id?: string };
}

export interface Person {
  id: string;
  email: string;
  token: string;
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T>;
  patch<T>(path: string, body: unknown): Promise<T>;
  call<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
}

export const unique = (prefix: string): string => `${prefix}-${randomBytes(5).toString("hex")}`;
const PASSWORD = "correct horse battery staple 9";

/** One request in the envelope's shape; never throws for an error status. */
export async function request<T>(
  base: string,
  method: string,
  path: string,
  options: { body?: unknown; token?: string; headers?: Record<string, string> } = {},
): Promise<Answer<T>> {
  const response = await fetch(base + path, {
    method,
    headers: {
      ...(options.body === undefined ? {} : { "content-type": "application/json" }),
      ...(options.token ? { authorization: `Bearer ${options.token}` } : {}),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: typeof options.body === "string" ? options.body : JSON.stringify(options.body) }),
  });
  const text = await response.text();
  const body = (text.startsWith("{") ? JSON.parse(text) : { success: false, message: text, data: undefined }) as Answer<T>["body"];
  return { status: response.status, headers: response.headers, body };
}

function person(product: Product, id: string, email: string, token: string): Person {
  const call = <T>(method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    request<T>(product.api, method, path, { token, ...(body === undefined ? {} : { body }), ...(headers ? { headers } : {}) });
  async function data<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    const answer = await call<T>(method, path, body, headers);
    if (!answer.body.success) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body.data;
  }
  return {
    id,
    email,
    token,
    call,
    get: (path) => data("GET", path),
    post: (path, body, headers) => data("POST", path, body ?? {}, headers),
    patch: (path, body) => data("PATCH", path, body),
  };
}

interface Tokens {
  access_token: string;
  user: { id: string; email: string };
}

/** Waits for the six digits of the newest mail to this address. */
export async function mailedCode(product: Product, email: string): Promise<string> {
  return waitFor(
    async () => {
      const response = await fetch(`${product.inbox}/messages?to=${encodeURIComponent(email)}`);
      const messages = (await response.json()) as { text: string }[];
      return messages.map((message) => /\b(\d{6})\b/.exec(message.text)?.[1]).find(Boolean);
    },
    { timeoutMs: 20_000, message: `a mail with a code for ${email}` },
  ) as Promise<string>;
}

/** Registers somebody with a mailed code, as a person would. */
export async function register(product: Product, email = `${unique("ada")}@example.com`): Promise<Person> {
  await request(product.api, "POST", "/api/auth/email-code", { body: { email, purpose: "register" } });
  const code = await mailedCode(product, email);
  const answer = await request<Tokens>(product.api, "POST", "/api/auth/register", { body: { email, code, password: PASSWORD } });
  if (answer.status !== 201) throw new Error(`register: ${answer.status} ${JSON.stringify(answer.body)}`);
  return person(product, answer.body.data.user.id, email, answer.body.data.access_token);
}

/** The first operator. */
export async function operator(product: Product): Promise<Person> {
  const answer = await request<Tokens>(product.api, "POST", "/api/auth/login", {
    body: { email: product.admin.email, password: product.admin.password },
  });
  if (answer.status !== 200) throw new Error(`operator: ${answer.status} ${JSON.stringify(answer.body)}`);
  return person(product, answer.body.data.user.id, product.admin.email, answer.body.data.access_token);
}

export interface CustomerOptions {
  credits?: string;
  limits?: Record<string, unknown>;
}

/** A verified user made by an operator, with credit, wide limits and an API key. */
export async function customer(product: Product, admin: Person, options: CustomerOptions = {}): Promise<Person & { key: string }> {
  const email = `${unique("grace")}@example.com`;
  const made = await admin.post<{ id: string }>("/api/admin/users", { email, password: PASSWORD });
  const limits = options.limits ?? { requests_per_minute: 1_000_000, max_parallel: 100_000 };
  await admin.patch(`/api/admin/users/${made.id}`, { limits });
  if (options.credits) await admin.post(`/api/admin/users/${made.id}/credits`, { amount: options.credits, reason: "test" });
  const login = await request<Tokens>(product.api, "POST", "/api/auth/login", { body: { email, password: PASSWORD } });
  const somebody = person(product, made.id, email, login.body.data.access_token);
  const { key } = await somebody.post<{ key: string }>("/api/user/keys", { name: "test" });
  return { ...somebody, key };
}

/** A priced model served by the given upstream; returns its name. */
export async function pricedModel(
  admin: Person,
  upstream: string,
  options: { input?: string; output?: string; maxOutput?: number; config?: unknown } = {},
): Promise<string> {
  const name = unique("model");
  await admin.post("/api/admin/models", {
    name,
    input_price: options.input ?? "30",
    output_price: options.output ?? "60",
    max_output_tokens: options.maxOutput ?? 1_000,
  });
  const provider = await admin.post<{ id: string }>("/api/admin/providers", {
    name: unique("provider"),
    base_url: upstream,
    api_key: "upstream-key",
    api_format: "openai",
    ...(options.config === undefined ? {} : { config: options.config }),
  });
  await admin.post(`/api/admin/providers/${provider.id}/models`, { model_name: name, upstream_model: "demo-chat" });
  return name;
}

export interface Balance {
  available: string;
  held: string;
  total: string;
}

/** Waits until nothing is held on a wallet, then answers its balance. */
export async function settledBalance(somebody: Person, timeoutMs = 30_000): Promise<Balance> {
  return waitFor(
    async () => {
      const balance = await somebody.get<Balance>("/api/user/balance");
      return balance.held === "0" ? balance : undefined;
    },
    { timeoutMs, message: "nothing to be on hold" },
  ) as Promise<Balance>;
}

export interface Proof {
  balanced: boolean;
  accounts: number;
  transfers: number;
  differences: unknown[];
}

/** Fails with the differences when the ledger is not proven. */
export async function proveLedger(admin: Person): Promise<Proof> {
  const proof = await admin.get<Proof>("/api/admin/ledger/verify");
  if (!proof.balanced) throw new Error(`the ledger is not balanced: ${JSON.stringify(proof.differences)}`);
  return proof;
}
