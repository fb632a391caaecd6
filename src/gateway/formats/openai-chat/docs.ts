import { z } from "zod";
import { relayedRoute } from "../documentation.ts";

const message = z.looseObject({ role: z.string(), content: z.unknown() });
const body = z.looseObject({
  model: z.string(),
  messages: z.array(message),
  stream: z.boolean().nullish(),
  max_tokens: z.number().int().nullish(),
  max_completion_tokens: z.number().int().nullish(),
  n: z.number().int().nullish(),
});
const answer = z.looseObject({ id: z.string(), object: z.string(), choices: z.array(z.unknown()), usage: z.unknown() });

export const chatDocs = [
  relayedRoute({
    path: "/v1/chat/completions",
    summary: "Chat completion",
    description:
      "OpenAI's format, streaming and not; unknown fields pass to the provider. Errors are `{error: {message, type, param, code}, trace_id}`.",
    body,
    answer,
  }),
];
