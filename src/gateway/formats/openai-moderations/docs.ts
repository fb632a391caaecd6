import { z } from "zod";
import { relayedRoute } from "../documentation.ts";

export const moderationsDocs = [
  relayedRoute({
    path: "/v1/moderations",
    summary: "Moderation",
    description:
      "OpenAI's format. Without a model it is `omni-moderation-latest`. Charged by the request, or by input tokens as counted here.",
    body: z.looseObject({
      model: z.string().nullish(),
      input: z.union([z.string(), z.array(z.union([z.string(), z.looseObject({ type: z.string() })]))]),
    }),
    answer: z.looseObject({ id: z.string(), model: z.string(), results: z.array(z.unknown()) }),
  }),
];
