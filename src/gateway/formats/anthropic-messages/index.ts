import type { Format } from "../../pipeline/format.ts";
import { anthropicVoice } from "./errors.ts";
import { readRequest } from "./read.ts";

/** Anthropic's messages (https://docs.anthropic.com/en/api/messages). */
export const anthropicMessages: Format = {
  route: "/v1/messages",
  speaks: ["claude", "openai"],
  body: "json",
  meters: ["tokens", "requests"],
  cacheable: true,
  voice: anthropicVoice,
  read: readRequest,
};
