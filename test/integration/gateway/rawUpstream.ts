import net, { type AddressInfo, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** One request as a provider saw it. */
export interface SeenRequest {
  head: string;
  body: Record<string, unknown>;
}

/** What a provider does with one request: it writes whatever bytes it likes to the socket. */
export type Behaviour = (socket: Socket, request: SeenRequest) => void | Promise<void>;

export interface RawUpstream {
  url: string;
  requests: SeenRequest[];
  /** Connections that the other side closed before the answer was whole. */
  aborted: number;
  /** What the next requests meet. */
  behave(behaviour: Behaviour): void;
  close(): Promise<void>;
}

/** Forms are of no interest here; the demo upstream reads those. */
const bodyOf = (text: string): Record<string, unknown> => (text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {});

/** A provider made of a bare socket, so that a test decides about every byte of the answer. */
export async function startRawUpstream(): Promise<RawUpstream> {
  let behaviour: Behaviour = (socket) => void socket.end();
  const sockets = new Set<Socket>();
  const state = { requests: [] as SeenRequest[], aborted: 0 };
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    let received = "";
    let answering = false;
    socket.on("error", () => undefined);
    socket.on("close", () => {
      sockets.delete(socket);
      if (answering) state.aborted += 1;
    });
    socket.on("data", (data) => {
      received += data.toString("latin1");
      const cut = received.indexOf("\r\n\r\n");
      if (cut < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? 0);
      if (received.length < cut + 4 + length) return;
      const request = {
        head: received.slice(0, cut),
        body: bodyOf(Buffer.from(received.slice(cut + 4, cut + 4 + length), "latin1").toString("utf8")),
      };
      received = received.slice(cut + 4 + length);
      state.requests.push(request);
      answering = true;
      void Promise.resolve(behaviour(socket, request)).then(() => {
        answering = false;
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return state.requests;
    },
    get aborted() {
      return state.aborted;
    },
    behave(next) {
      behaviour = next;
      state.requests = [];
      state.aborted = 0;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export const STREAM_HEAD =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nx-request-id: up-1\r\nset-cookie: a=b\r\nopenai-organization: org-secret\r\n\r\n";

/** One piece of a chunked body. */
export function piece(bytes: string | Buffer): Buffer {
  const data = Buffer.from(bytes);
  return Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from("\r\n")]);
}

export const LAST_PIECE = Buffer.from("0\r\n\r\n");

/** An SSE event with one chunk of text. */
export const text = (content: string, more: object = {}): string =>
  `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", created: 1, model: "upstream-model", choices: [{ index: 0, delta: { content }, finish_reason: null }], ...more })}\n\n`;
export const ROLE = `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", created: 1, model: "upstream-model", choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] })}\n\n`;
export const STOP = `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", created: 1, model: "upstream-model", choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}\n\n`;
export const usage = (prompt: number, completion: number): string =>
  `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", created: 1, model: "upstream-model", choices: [], usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion } })}\n\n`;
export const DONE = "data: [DONE]\n\n";

/** A stream of these events, each written on its own, and a clean end of the body. */
export function streamOf(...events: (string | Buffer)[]): Behaviour {
  return async (socket) => {
    socket.write(STREAM_HEAD);
    for (const event of events) {
      socket.write(piece(event));
      await delay(2);
    }
    socket.write(LAST_PIECE);
  };
}

/** A complete answer with this status. */
export function answerOf(status: number, body: string, headers = "content-type: application/json"): Behaviour {
  return (socket) => {
    socket.write(`HTTP/1.1 ${status} X\r\n${headers}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  };
}

/** Waits until the other side has closed the connection. */
export const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => (socket.destroyed ? resolve() : socket.once("close", () => resolve())));

/** 1500 and 800 tokens at 30 and 60 per 1000 are 93 credits. */
export const FULL = usage(1500, 800);
/** 4 tokens. */
export const REST = "Hello, traveller.";

/** Never answers. */
export const hang: Behaviour = (socket) => closed(socket);

/** A complete answer with this usage. */
export const completion = (prompt: number, output: number) =>
  JSON.stringify({
    id: "c1",
    object: "chat.completion",
    created: 1,
    model: "upstream-model",
    choices: [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }],
    usage: { prompt_tokens: prompt, completion_tokens: output, total_tokens: prompt + output },
  });
