import { z } from "zod";
import { relayedRoute } from "../documentation.ts";

const tokens = z.array(z.number().int());
const embedding = z.looseObject({ object: z.string(), index: z.number().int(), embedding: z.union([z.array(z.number()), z.string()]) });

export const embeddingsDocs = [
  relayedRoute({
    path: "/v1/embeddings",
    summary: "Embeddings",
    description: "OpenAI's format; `base64` passes as it is. At most 2,048 inputs of 8,192 tokens each (more where the model reads more).",
    body: z.looseObject({
      model: z.string(),
      input: z.union([z.string(), z.array(z.string()), tokens, z.array(tokens)]),
      encoding_format: z.enum(["float", "base64"]).nullish(),
      dimensions: z.number().int().nullish(),
    }),
    answer: z.looseObject({ object: z.string(), data: z.array(embedding), model: z.string(), usage: z.unknown() }),
  }),
];
