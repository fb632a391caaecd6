import { z } from "zod";
import { relayedRoute } from "../documentation.ts";

const shared = {
  model: z.string(),
  file: z.unknown(),
  prompt: z.string().optional(),
  temperature: z.number().optional(),
};
const answer = z.looseObject({ text: z.string() });
const DESCRIPTION =
  "A form with one `file` of at most 25 MB. Charged by the second (begun ones as whole): the provider's count, else the file's own length; or by tokens.";

export const transcriptionsDocs = [
  relayedRoute({
    path: "/v1/audio/transcriptions",
    summary: "Transcription",
    description: DESCRIPTION,
    consumes: "multipart/form-data",
    body: z.looseObject({
      ...shared,
      language: z.string().optional(),
      stream: z.boolean().optional(),
      response_format: z.enum(["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]).optional(),
    }),
    answer,
  }),
  relayedRoute({
    path: "/v1/audio/translations",
    summary: "Translation into English",
    description: DESCRIPTION,
    consumes: "multipart/form-data",
    body: z.looseObject({ ...shared, response_format: z.enum(["json", "text", "srt", "verbose_json", "vtt"]).optional() }),
    answer,
  }),
];
