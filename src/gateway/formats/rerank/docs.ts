import { z } from "zod";
import { relayedRoute } from "../documentation.ts";

const document = z.union([z.string(), z.looseObject({})]);

export const rerankDocs = [
  relayedRoute({
    path: "/v1/rerank",
    summary: "Rerank",
    description:
      "Documents by their relevance to a query, in the format of Jina and Cohere. Charged by tokens, or by the vendor's search units as requests.",
    body: z.looseObject({
      model: z.string(),
      query: z.string(),
      documents: z.array(document),
      top_n: z.number().int().nullish(),
      return_documents: z.boolean().nullish(),
    }),
    answer: z.looseObject({ results: z.array(z.looseObject({ index: z.number().int(), relevance_score: z.number() })) }),
  }),
];
