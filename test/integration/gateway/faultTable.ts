import { setTimeout as delay } from "node:timers/promises";
import { answerOf, closed, DONE, piece, ROLE, STOP, STREAM_HEAD, streamOf, text, usage, type Behaviour } from "./rawUpstream.ts";

/** 1500 and 800 tokens at 30 and 60 per 1000 are 93 credits. */
export const FULL = usage(1500, 800);
export const REST = "Hello, traveller.";

const whole = (fields: object): string =>
  JSON.stringify({
    id: "c1",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content: REST }, finish_reason: "stop" }],
    ...fields,
  });
export const hang: Behaviour = (socket) => closed(socket);

/** One way a provider can end a call: what the client sees, what it pays, what is recorded. */
export interface Row {
  name: string;
  stream: boolean;
  behaviour: Behaviour;
  status: number;
  code?: string;
  text?: string;
  /** In micro-credits; nothing unless said. */
  charged?: bigint;
  record: string | null;
  estimated?: boolean;
  aborted?: number;
}

export const FAULTS: Row[] = [
  {
    name: "a stream with usage",
    stream: true,
    behaviour: streamOf(ROLE, text(REST), STOP, FULL, DONE),
    status: 200,
    text: REST,
    charged: 93_000_000n,
    record: null,
  },
  {
    name: "an answer with usage",
    stream: false,
    behaviour: answerOf(200, whole({ usage: { prompt_tokens: 1500, completion_tokens: 800, total_tokens: 2300 } })),
    status: 200,
    text: REST,
    charged: 93_000_000n,
    record: null,
  },
  {
    name: "a stream with an explicit zero",
    stream: true,
    behaviour: streamOf(ROLE, text(REST), STOP, usage(0, 0), DONE),
    status: 200,
    text: REST,
    record: null,
  },
  {
    name: "an answer with an explicit zero",
    stream: false,
    behaviour: answerOf(200, whole({ usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } })),
    status: 200,
    record: null,
  },
  // 13 prompt tokens with framing; "Hello, traveller." is 4.
  {
    name: "a stream without usage",
    stream: true,
    behaviour: streamOf(ROLE, text(REST), STOP, DONE),
    status: 200,
    text: REST,
    charged: 630_000n,
    record: null,
    estimated: true,
  },
  {
    name: "an answer without usage",
    stream: false,
    behaviour: answerOf(200, whole({})),
    status: 200,
    charged: 630_000n,
    record: null,
    estimated: true,
  },
  {
    name: "usage that cannot be read",
    stream: false,
    behaviour: answerOf(200, whole({ usage: { prompt_tokens: "1500", completion_tokens: 8 } })),
    status: 200,
    charged: 630_000n,
    record: null,
    estimated: true,
  },
  {
    name: "usage larger than the hold and its tolerance",
    stream: true,
    behaviour: streamOf(text(REST), STOP, usage(1500, 2_000), DONE),
    status: 200,
    charged: 154_450_000n,
    record: null,
  },
  {
    name: "a dead provider before the first byte",
    stream: true,
    behaviour: (socket) => void socket.destroy(),
    status: 502,
    code: "upstream_error",
    record: "upstream_network",
  },
  {
    name: "a dead provider before the first byte, no stream",
    stream: false,
    behaviour: (socket) => void socket.destroy(),
    status: 502,
    code: "upstream_error",
    record: "upstream_network",
  },
  {
    name: "a stream that dies in the middle",
    stream: true,
    status: 200,
    code: "upstream_error",
    text: "Hello",
    record: "upstream_closed",
    behaviour: async (socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
      await delay(50);
      socket.destroy();
    },
  },
  {
    name: "an answer that dies in the middle",
    stream: false,
    status: 502,
    code: "upstream_error",
    record: "upstream_closed",
    behaviour: async (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{"id":');
      await delay(50);
      socket.destroy();
    },
  },
  {
    name: "a stream without its terminal event",
    stream: true,
    behaviour: streamOf(text("Hello"), STOP, FULL),
    status: 200,
    code: "upstream_error",
    text: "Hello",
    record: "upstream_closed",
  },
  {
    name: "an error inside the stream",
    stream: true,
    behaviour: streamOf(text("Hello"), `data: {"error":{"message":"overloaded"}}\n\n`, DONE),
    status: 200,
    code: "upstream_error",
    text: "Hello",
    record: "upstream_error_event",
  },
  {
    name: "an error as the first event",
    stream: true,
    behaviour: streamOf(`data: {"error":{"message":"overloaded"}}\n\n`),
    status: 502,
    code: "upstream_error",
    record: "upstream_error_event",
  },
  {
    name: "an error inside a 200",
    stream: false,
    behaviour: answerOf(200, '{"error":{"message":"overloaded"}}'),
    status: 502,
    code: "upstream_error",
    record: "upstream_error_event",
  },
  {
    name: "bad JSON in a stream",
    stream: true,
    behaviour: streamOf(text("Hello"), 'data: {"choices":[{"delta":{"content":"x\n\n', FULL, DONE),
    status: 200,
    code: "upstream_error",
    text: "Hello",
    record: "upstream_malformed",
  },
  {
    name: "bad JSON in an answer",
    stream: false,
    behaviour: answerOf(200, '{"choices":['),
    status: 502,
    code: "upstream_error",
    record: "upstream_malformed",
  },
  {
    name: "a page instead of an answer",
    stream: false,
    behaviour: answerOf(200, "<html>", "content-type: text/html"),
    status: 502,
    code: "upstream_error",
    record: "upstream_malformed",
  },
  {
    name: "a page instead of a stream",
    stream: true,
    behaviour: answerOf(200, "<html>", "content-type: text/html"),
    status: 502,
    code: "upstream_error",
    record: "upstream_malformed",
  },
  {
    name: "no first byte in time",
    stream: true,
    behaviour: hang,
    status: 200,
    code: "upstream_timeout",
    record: "upstream_first_byte_timeout",
    aborted: 1,
  },
  {
    name: "no first byte in time, no stream",
    stream: false,
    behaviour: hang,
    status: 504,
    code: "upstream_timeout",
    record: "upstream_first_byte_timeout",
    aborted: 1,
  },
  {
    name: "silence for longer than the idle time",
    stream: true,
    status: 200,
    code: "upstream_timeout",
    text: "Hello",
    record: "upstream_idle_timeout",
    aborted: 1,
    behaviour: (socket) => {
      socket.write(Buffer.concat([Buffer.from(STREAM_HEAD), piece(text("Hello"))]));
      return closed(socket);
    },
  },
  {
    name: "a stream that never ends",
    stream: true,
    status: 200,
    code: "upstream_timeout",
    record: "upstream_total_timeout",
    aborted: 1,
    behaviour: async (socket) => {
      socket.write(STREAM_HEAD);
      const timer = setInterval(() => socket.write(piece(text("x"))), 50);
      await closed(socket);
      clearInterval(timer);
    },
  },
  {
    name: "400",
    stream: false,
    behaviour: answerOf(
      400,
      '{"error":{"message":"bad temperature at http://10.0.0.1/","type":"invalid_request_error","param":"temperature","code":null}}',
    ),
    status: 400,
    record: "upstream_rejected",
  },
  {
    name: "401",
    stream: false,
    behaviour: answerOf(401, '{"error":{"message":"Incorrect API key sk-abcdef123456"}}'),
    status: 502,
    code: "upstream_error",
    record: "upstream_refused",
  },
  {
    name: "429",
    stream: true,
    behaviour: answerOf(429, "{}"),
    status: 429,
    code: "upstream_rate_limited",
    record: "upstream_rate_limited",
  },
  {
    name: "500",
    stream: true,
    behaviour: answerOf(500, "oops"),
    status: 502,
    code: "upstream_error",
    record: "upstream_5xx",
  },
  {
    name: "a redirect",
    stream: false,
    behaviour: answerOf(302, "", "location: http://127.0.0.1:1/"),
    status: 502,
    code: "upstream_error",
    record: "upstream_refused",
  },
];
