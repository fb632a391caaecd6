import type { Format } from "../../pipeline/format.ts";
import { openaiVoice } from "../openai-chat/errors.ts";
import { EDIT_FILES } from "./fields.ts";
import { readEdit, readGeneration } from "./read.ts";

/** OpenAI's pictures from words (https://platform.openai.com/docs/api-reference/images/create). */
export const imageGenerations: Format = {
  route: "/v1/images/generations",
  speaks: ["openai"],
  body: "json",
  meters: ["images", "tokens", "requests"],
  voice: openaiVoice,
  read: readGeneration,
};

/** The same from words and pictures (https://platform.openai.com/docs/api-reference/images/createEdit). */
export const imageEdits: Format = { ...imageGenerations, route: "/v1/images/edits", body: "either", files: EDIT_FILES, read: readEdit };
