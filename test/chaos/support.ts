import { customer, operator, pricedModel, type Person, type Product } from "../support/people.ts";
import { startStack, type Stack } from "../support/stack.ts";

/** A product with servers of its own, an operator and a model whose every call costs exactly 10 credits. */
export interface Scene {
  stack: Stack;
  at: Product;
  admin: Person;
  model: string;
}

export async function scene(env: NodeJS.ProcessEnv = {}): Promise<Scene> {
  const stack = await startStack({ env: { HOLD_TTL: "4s", ...env } });
  const at = stack.endpoints as unknown as Product;
  const admin = await operator(at);
  const model = await pricedModel(admin, at.upstream, { input: "0", output: "100" });
  return { stack, at, admin, model };
}

/** Limits that refuse nothing, but have every call counted on a budget: proving the ledger proves those too. */
export const LIMITED = { requests_per_minute: 1_000_000, max_parallel: 100_000, spend_monthly: "1000000" };

export interface Call {
  status: number;
  /** True when the client saw the whole answer. */
  complete: boolean;
  text: string;
}

/** A stream of `chunks` chunks, `paceMs` apart, that costs 10 credits; never throws. */
export async function call(at: Product, key: string, model: string, options: { chunks?: number; paceMs?: number } = {}): Promise<Call> {
  const directives = `[[usage:0,100]] [[chunks:${options.chunks ?? 5}]] [[pace:${options.paceMs ?? 1}ms]]`;
  let status = 0;
  let text = "";
  try {
    const response = await fetch(`${at.api}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ model, stream: true, max_tokens: 100, messages: [{ role: "user", content: `Go ${directives}` }] }),
    });
    status = response.status;
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk as Uint8Array, { stream: true });
  } catch {
    return { status, complete: false, text };
  }
  return { status, complete: status === 200 && text.trimEnd().endsWith("data: [DONE]"), text };
}

/** Keeps `width` calls under way until `stop` is called; answers what became of each. */
export function load(at: Product, key: string, model: string, width: number, options: { chunks?: number; paceMs?: number } = {}) {
  const calls: Call[] = [];
  const stopped = new AbortController();
  const workers = Array.from({ length: width }, async () => {
    while (!stopped.signal.aborted) calls.push(await call(at, key, model, options));
  });
  return {
    calls,
    async stop(): Promise<Call[]> {
      stopped.abort();
      await Promise.all(workers);
      return calls;
    },
  };
}

export { customer };
