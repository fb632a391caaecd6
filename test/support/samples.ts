import { randomBytes } from "node:crypto";
import { wav } from "./sounds.ts";

/** A request that a route answers, and how it answers. */
export interface Sample {
  path: string;
  /** JSON, or the fields and the file of a form. */
  body: Record<string, unknown>;
  file?: { field: string; name: string; type: string; bytes: Buffer };
  answers: "events" | "json" | "text" | "bytes";
}

const SOUND = { field: "file", name: "a.wav", type: "audio/wav", bytes: wav(1) };
const PICTURE = { field: "image", name: "a.png", type: "image/png", bytes: Buffer.alloc(64, 1) };

const ask = (body: Record<string, unknown>): Record<string, unknown> => ({ model: "demo-chat", ...body });
const chat = ask({ messages: [{ role: "user", content: "Which way?" }] });
const message = ask({ max_tokens: 2_000, messages: [{ role: "user", content: "Which way?" }] });
const response = ask({ input: "Which way?" });
const completion = ask({ prompt: "Which way?", max_tokens: 2_000 });
const picture = ask({ prompt: "A bridge", size: "256x256" });
const speech = ask({ input: "Which way to the bridge, and what is the toll?", voice: "alloy" });
const stream = { stream: true };
const dify = ask({ inputs: {}, user: "somebody" });
const difyChat = { ...dify, query: "Which way?" };
const difyInputs = { ...dify, inputs: { query: "Which way?" } };
const streaming = { response_mode: "streaming" };

/** A request for every route that costs something, and for every way it can be answered. */
export const SAMPLES: Sample[] = [
  { path: "/v1/chat/completions", body: chat, answers: "json" },
  { path: "/v1/chat/completions", body: { ...chat, ...stream }, answers: "events" },
  { path: "/v1/completions", body: completion, answers: "json" },
  { path: "/v1/completions", body: { ...completion, ...stream }, answers: "events" },
  { path: "/v1/responses", body: response, answers: "json" },
  { path: "/v1/responses", body: { ...response, ...stream }, answers: "events" },
  { path: "/v1/messages", body: message, answers: "json" },
  { path: "/v1/messages", body: { ...message, ...stream }, answers: "events" },
  { path: "/v1/messages/count_tokens", body: ask({ messages: message["messages"] }), answers: "json" },
  { path: "/v1/embeddings", body: response, answers: "json" },
  { path: "/v1/images/generations", body: picture, answers: "json" },
  { path: "/v1/images/generations", body: { ...picture, ...stream, partial_images: 2 }, answers: "events" },
  { path: "/v1/images/edits", body: picture, file: PICTURE, answers: "json" },
  { path: "/v1/images/edits", body: { ...picture, stream: "true", partial_images: "2" }, file: PICTURE, answers: "events" },
  { path: "/v1/audio/speech", body: speech, answers: "bytes" },
  { path: "/v1/audio/speech", body: { ...speech, stream_format: "sse" }, answers: "events" },
  { path: "/v1/audio/transcriptions", body: ask({}), file: SOUND, answers: "json" },
  { path: "/v1/audio/transcriptions", body: ask({ response_format: "text" }), file: SOUND, answers: "text" },
  { path: "/v1/audio/transcriptions", body: ask({ stream: "true" }), file: SOUND, answers: "events" },
  { path: "/v1/audio/translations", body: ask({}), file: SOUND, answers: "json" },
  { path: "/v1/moderations", body: response, answers: "json" },
  { path: "/dify/v1/chat-messages", body: difyChat, answers: "json" },
  { path: "/dify/v1/chat-messages", body: { ...difyChat, ...streaming }, answers: "events" },
  { path: "/dify/v1/completion-messages", body: difyInputs, answers: "json" },
  { path: "/dify/v1/completion-messages", body: { ...difyInputs, ...streaming }, answers: "events" },
  { path: "/dify/v1/workflows/run", body: difyInputs, answers: "json" },
  { path: "/dify/v1/workflows/run", body: { ...difyInputs, ...streaming }, answers: "events" },
  { path: "/dify/v1/text-to-audio", body: ask({ text: "Which way to the bridge, and what is the toll?" }), answers: "bytes" },
  { path: "/dify/v1/audio-to-text", body: ask({}), file: SOUND, answers: "json" },
  { path: "/v1/rerank", body: ask({ query: "Which way?", documents: ["left", "right"] }), answers: "json" },
];

/** The body of a sample as it is sent, and its content type. */
export function encode({ body, file }: Pick<Sample, "body" | "file">): { type: string; bytes: Buffer } {
  if (!file) return { type: "application/json", bytes: Buffer.from(JSON.stringify(body)) };
  const boundary = `form-${randomBytes(8).toString("hex")}`;
  const fields = Object.entries(body).map(
    ([name, value]) => `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${String(value)}\r\n`,
  );
  const head = `--${boundary}\r\ncontent-disposition: form-data; name="${file.field}"; filename="${file.name}"\r\ncontent-type: ${file.type}\r\n\r\n`;
  const bytes = Buffer.concat([Buffer.from(fields.join("") + head), file.bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]);
  return { type: `multipart/form-data; boundary=${boundary}`, bytes };
}
