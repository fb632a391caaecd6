import type { Format, RelayRequest } from "../../pipeline/format.ts";
import { errorBody, errorEvent, readError } from "./errors.ts";
import { readRequest, type ChatRequest } from "./read.ts";
import { ChatStream } from "./stream.ts";
import { readWhole } from "./whole.ts";

/** OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat). */
export const openaiChat: Format = {
  route: "/v1/chat/completions",
  apiFormat: "openai",
  upstreamPath: "/chat/completions",
  read: readRequest,
  openStream: (request: RelayRequest, options) => new ChatStream({ showUsage: (request as ChatRequest).showUsage, ...options }),
  readWhole,
  errorBody,
  errorEvent,
  readError,
  heartbeat: Buffer.from(": keep-alive\n\n"),
};
