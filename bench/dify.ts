import type { ServerResponse } from "node:http";

const IDS = { conversation_id: "c-bench", created_at: 1, task_id: "t-bench" };
const PROMPT_TOKENS = 30;

let messages = 0;

/** What a Dify app is asked; every question is another one. */
export const difyPrompt = (n: number, streaming: boolean): string =>
  JSON.stringify({
    inputs: {},
    query: `Question ${n} ${Math.random()}: how did the tollkeeper at the bridge count the coins that travellers paid him in the evening?`,
    response_mode: streaming ? "streaming" : "blocking",
    user: "bench",
  });

/** The bench's usual answer as a Dify app gives it; every message has an id of its own. */
export function answerAsDify(res: ServerResponse, asked: string, chunks: number): void {
  const ids = { ...IDS, message_id: `m-${process.pid}-${Date.now()}-${++messages}` };
  const usage = { prompt_tokens: PROMPT_TOKENS, completion_tokens: chunks, total_tokens: PROMPT_TOKENS + chunks, total_price: "0.0001300" };
  const end = { metadata: { usage: { ...usage, currency: "USD", latency: 1.1 } } };
  const event = (name: string, more: object): string => `data: ${JSON.stringify({ event: name, ...ids, ...more })}\n\n`;
  if (!asked.includes('"response_mode":"streaming"')) {
    const whole = JSON.stringify({ event: "message", ...ids, mode: "chat", answer: "word ".repeat(chunks), ...end });
    res.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(whole) });
    res.end(whole);
    return;
  }
  res.writeHead(200, { "content-type": "text/event-stream" });
  res.write("event: ping\n\n");
  let sent = 0;
  const next = (): void => {
    if (sent < chunks) {
      res.write(event("message", { answer: ` word${sent}` }));
      sent += 1;
      setTimeout(next, 1);
    } else res.end(event("message_end", end));
  };
  next();
}
