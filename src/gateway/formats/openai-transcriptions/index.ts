import type { Format } from "../../pipeline/format.ts";
import { openaiVoice } from "../openai-chat/errors.ts";
import { FILE } from "./fields.ts";
import { readTranscription, readTranslation } from "./read.ts";

/** OpenAI's transcriptions (https://platform.openai.com/docs/api-reference/audio/createTranscription). */
export const openaiTranscriptions: Format = {
  route: "/v1/audio/transcriptions",
  speaks: ["openai"],
  body: "multipart",
  files: FILE,
  meters: ["seconds", "tokens", "requests"],
  voice: openaiVoice,
  read: readTranscription,
};

/** The same in English (https://platform.openai.com/docs/api-reference/audio/createTranslation). */
export const openaiTranslations: Format = { ...openaiTranscriptions, route: "/v1/audio/translations", read: readTranslation };
