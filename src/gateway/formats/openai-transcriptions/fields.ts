import { boolean, NO_CHOICE_OF_OTHERS, notOffered, number, oneOf, text, type Check } from "../checks.ts";
import type { FormRules } from "../forms.ts";

/** The vendor's limit for one file. */
export const FILE = { files: 1, fileSize: 25 * 1024 * 1024 };

/** Formats of the answer whose body is JSON. */
export const JSON_FORMATS = ["json", "verbose_json", "diarized_json"];
const TEXT_FORMATS = ["text", "srt", "vtt"];

/** Fields with a known meaning (https://platform.openai.com/docs/api-reference/audio/createTranscription). */
const SHARED: Record<string, Check> = {
  language: text(64),
  prompt: text(100_000),
  temperature: number(0, 1),
  // The file that is sent is the one that is measured.
  url: notOffered,
  file_url: notOffered,
  file_id: notOffered,
  ...NO_CHOICE_OF_OTHERS,
};

const form = (checks: Record<string, Check>, booleans: string[]): FormRules => ({
  numbers: ["temperature"],
  booleans,
  files: ["file"],
  checks: { ...SHARED, ...checks },
});

export const TRANSCRIPTION_FORM = form({ response_format: oneOf(...JSON_FORMATS, ...TEXT_FORMATS), stream: boolean }, ["stream"]);
export const TRANSLATION_FORM = form({ response_format: oneOf("json", "verbose_json", ...TEXT_FORMATS) }, []);
