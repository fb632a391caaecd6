import { z } from "zod";
import { relayedRoute } from "../documentation.ts";

const tokens = z.array(z.number().int());

export const completionsDocs = [
  relayedRoute({
    path: "/v1/completions",
    summary: "Legacy completion",
    description: "OpenAI's older format, streaming and not. Without `max_tokens` an answer has at most 16 tokens, as at OpenAI.",
    body: z.looseObject({
      model: z.string(),
      prompt: z.union([z.string(), z.array(z.string()), tokens, z.array(tokens)]).nullable(),
      stream: z.boolean().nullish(),
      max_tokens: z.number().int().nullish(),
      n: z.number().int().nullish(),
      best_of: z.number().int().nullish(),
      echo: z.boolean().nullish(),
      suffix: z.string().nullish(),
    }),
    answer: z.looseObject({ id: z.string(), object: z.string(), choices: z.array(z.unknown()), usage: z.unknown() }),
  }),
];
