import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { waitFor } from "../../../support/waitFor.ts";
import type { Seen, SeenError, Task } from "../seen.ts";

/** What one use of a client showed, before it is known how many requests that took. */
export type Shown = Omit<Seen, "sent">;
export type Asks<Client> = Record<string, (client: Client, task: Task, sent: (number | null)[]) => Promise<Shown>>;

/** The fetch of a client, noting what became of each request. */
function noting(sent: (number | null)[]): typeof fetch {
  return async (input, init) => {
    // The openai client tries out whether its fetch can read forms.
    if (String(input).startsWith("data:")) return fetch(input, init);
    const at = sent.push(null) - 1;
    const answer = await fetch(input, init);
    sent[at] = answer.status;
    return answer;
  };
}

const optionsOf = ({ key, timeoutMs, retries }: Task, sent: (number | null)[]) => ({
  apiKey: key,
  fetch: noting(sent),
  ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
  ...(retries === undefined ? {} : { maxRetries: retries }),
});

export const openaiClient = (task: Task, sent: (number | null)[]): OpenAI =>
  new OpenAI({ baseURL: `${task.url}/v1`, ...optionsOf(task, sent) });
export const anthropicClient = (task: Task, sent: (number | null)[]): Anthropic =>
  new Anthropic({ baseURL: task.url, ...optionsOf(task, sent) });

/** The exception as its fields show it. */
export function errorOf(error: unknown): SeenError {
  const shown = error as Partial<Record<"status" | "code" | "type" | "param" | "requestID" | "errorCode", unknown>> & { headers?: Headers };
  const text = (value: unknown): string | null => (typeof value === "string" ? value : null);
  return {
    class: (error as Error).constructor.name,
    status: typeof shown.status === "number" ? shown.status : null,
    code: text(shown.code) ?? text(shown.errorCode),
    type: text(shown.type),
    param: text(shown.param),
    message: (error as Error).message,
    requestId: text(shown.requestID),
    retryAfter: shown.headers?.get("retry-after") ?? null,
  };
}

/** JSON as a value with names. */
export const fields = (value: unknown): Record<string, unknown> => JSON.parse(JSON.stringify(value ?? null)) as Record<string, unknown>;

/** A message of so many characters. */
export const longMessage = ({ characters, ...body }: Record<string, unknown>): Record<string, unknown> => ({
  ...body,
  max_tokens: 900,
  messages: [{ role: "user", content: "x".repeat(Number(characters)) }],
});

/** Reads on until `enough`, and leaves the stream open. */
export async function readUntil<T>(stream: AsyncIterable<T>, enough: (event: T) => boolean): Promise<void> {
  const events = stream[Symbol.asyncIterator]();
  for (let next = await events.next(); !next.done && !enough(next.value);) next = await events.next();
}

/** Resolves when an answer with this status arrived, or when `asked` came to its end without one. */
export function refusedWith(status: number, sent: (number | null)[], asked: Promise<unknown>): Promise<unknown> {
  const over = asked.then(
    () => true,
    () => true,
  );
  const refused = waitFor(() => sent.includes(status), { message: `an answer with ${status}` });
  return Promise.race([over, refused]);
}
