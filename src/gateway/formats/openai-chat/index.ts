import type { Format } from "../../pipeline/format.ts";
import { openaiVoice } from "./errors.ts";
import { readRequest } from "./read.ts";

/** OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat). */
export const openaiChat: Format = {
  route: "/v1/chat/completions",
  speaks: ["openai", "claude"],
  body: "json",
  meters: ["tokens", "requests"],
  cacheable: true,
  voice: openaiVoice,
  read: (body) => readRequest(body),
};

/** The same at the path of older clients, who expect a stream unless they say otherwise. */
export const chatAlias: Format = {
  ...openaiChat,
  route: "/chat/completions",
  read: (body) => readRequest(body, { streams: true }),
};
