import { z } from "zod";
import { relayedRoute } from "../documentation.ts";

export const speechDocs = [
  relayedRoute({
    path: "/v1/audio/speech",
    summary: "Speech",
    description:
      "OpenAI's format: sound that passes on as it comes, or events (`stream_format: sse`). Charged by the character, or by tokens.",
    produces: "audio/mpeg",
    body: z.looseObject({
      model: z.string(),
      input: z.string(),
      voice: z.union([z.string(), z.looseObject({})]).nullish(),
      response_format: z.string().nullish(),
      speed: z.number().nullish(),
      stream_format: z.enum(["sse", "audio"]).nullish(),
    }),
    answer: undefined,
  }),
];
