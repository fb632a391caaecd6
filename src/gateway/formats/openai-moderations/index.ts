import type { Format } from "../../pipeline/format.ts";
import { openaiVoice } from "../openai-chat/errors.ts";
import { readModeration } from "./read.ts";

/** OpenAI's moderation (https://platform.openai.com/docs/api-reference/moderations). */
export const openaiModerations: Format = {
  route: "/v1/moderations",
  speaks: ["openai"],
  body: "json",
  meters: ["prompt", "requests"],
  cacheable: true,
  voice: openaiVoice,
  read: readModeration,
};
