import type { Format } from "../../pipeline/format.ts";
import { openaiVoice } from "../openai-chat/errors.ts";
import { readSpeech } from "./read.ts";

/** OpenAI's speech (https://platform.openai.com/docs/api-reference/audio/createSpeech). */
export const openaiSpeech: Format = {
  route: "/v1/audio/speech",
  speaks: ["openai"],
  body: "json",
  meters: ["characters", "tokens", "requests"],
  voice: openaiVoice,
  read: readSpeech,
};
