import type { ServerResponse } from "node:http";

/** The fixed answers of `demo-fast` and `demo-fast-<chunks>`: made once, so that a benchmark measures the relay and not this. */

const DEFAULT_CHUNKS = 50;
const MAX_CHUNKS = 10_000;
const CREATED = 1_767_225_600;
const PROMPT_TOKENS = 20;

interface FastAnswer {
  whole: Buffer;
  chunks: Buffer[];
  usage: Buffer;
}

const DONE = Buffer.from("data: [DONE]\n\n");
const answers = new Map<string, FastAnswer>();

/** The number of chunks a fast model streams; undefined for other models. */
export function fastChunks(model: string): number | undefined {
  const match = /^demo-fast(?:-(\d{1,5}))?$/.exec(model);
  return match ? Math.min(Number(match[1] ?? DEFAULT_CHUNKS), MAX_CHUNKS) : undefined;
}

function prepare(model: string, count: number): FastAnswer {
  const words = Array.from({ length: count }, (_, i) => `word${i % 10} `);
  const usage = { prompt_tokens: PROMPT_TOKENS, completion_tokens: count, total_tokens: PROMPT_TOKENS + count };
  const base = { id: "chatcmpl-fast", object: "chat.completion.chunk", created: CREATED, model };
  const event = (choices: object[], more = {}) => Buffer.from(`data: ${JSON.stringify({ ...base, choices, ...more })}\n\n`);
  const message = { role: "assistant", content: words.join(""), refusal: null };
  return {
    whole: Buffer.from(
      JSON.stringify({
        ...base,
        object: "chat.completion",
        choices: [{ index: 0, message, logprobs: null, finish_reason: "stop" }],
        usage,
      }),
    ),
    chunks: [
      event([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }]),
      ...words.map((content) => event([{ index: 0, delta: { content }, finish_reason: null }])),
      event([{ index: 0, delta: {}, finish_reason: "stop" }]),
    ],
    usage: event([], { usage }),
  };
}

/** Answers at once, or streams one chunk per turn of the event loop, so that chunks leave one by one. */
export function answerFast(
  response: ServerResponse,
  request: { model: string; stream: boolean; includeUsage: boolean },
  count: number,
): void {
  let prepared = answers.get(request.model);
  if (!prepared) answers.set(request.model, (prepared = prepare(request.model, count)));
  if (!request.stream) {
    response.writeHead(200, { "content-type": "application/json", "content-length": prepared.whole.length, "x-request-id": "fast" });
    response.end(prepared.whole);
    return;
  }
  const { chunks, usage } = prepared;
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-request-id": "fast" });
  response.socket?.setNoDelay(true);
  let next = 0;
  const turn = (): void => {
    if (response.destroyed) return;
    if (next < chunks.length) {
      response.write(chunks[next++]!);
      setImmediate(turn);
    } else {
      if (request.includeUsage) response.write(usage);
      response.end(DONE);
    }
  };
  turn();
}
