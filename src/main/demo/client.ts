/** A small client for the demonstration: unwraps the envelope and throws the error's own words. */
export interface DemoClient {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
  as(token: string): DemoClient;
}

interface Envelope<T> {
  success: boolean;
  message: string;
  data: T;
  error?: { code: string };
}

export function demoClient(base: string, token?: string): DemoClient {
  async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(base + path, {
      method,
      headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as Envelope<T>;
    if (!answer.success) throw new Error(`${method} ${path}: ${response.status} ${answer.error?.code}: ${answer.message}`);
    return answer.data;
  }
  return {
    get: (path) => call("GET", path),
    post: (path, body) => call("POST", path, body),
    as: (other) => demoClient(base, other),
  };
}

/** Asks again every 100 ms until `probe` answers something; throws after `timeoutMs`. */
export async function until<T>(what: string, probe: () => Promise<T | undefined | false>, timeoutMs = 30_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await probe();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1_000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
