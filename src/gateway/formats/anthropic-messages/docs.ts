import { z } from "zod";
import type { Route } from "../../../http/route.ts";
import { relayedRoute } from "../documentation.ts";
import { countTokens } from "./count.ts";
import { anthropicMessages } from "./index.ts";

const message = z.looseObject({ role: z.string(), content: z.unknown() });

export const messagesDocs: readonly Route[] = [
  relayedRoute({
    path: anthropicMessages.route,
    summary: "Message",
    description:
      "Anthropic's format, streaming and not; unknown fields pass to the provider. The key may come as `x-api-key` or as a bearer. Errors are " +
      '`{type: "error", error: {type, message, details}, request_id, trace_id}`.',
    body: z.looseObject({
      model: z.string(),
      max_tokens: z.number().int(),
      messages: z.array(message),
      system: z.unknown().optional(),
      stream: z.boolean().nullish(),
    }),
    answer: z.looseObject({ id: z.string(), type: z.literal("message"), content: z.array(z.unknown()), usage: z.unknown() }),
  }),
  relayedRoute({
    path: countTokens.route,
    summary: "Tokens of a message",
    description: "Counted by the provider where it can, else estimated. Counts as a request and costs nothing.",
    body: z.looseObject({ model: z.string(), messages: z.array(message), system: z.unknown().optional() }),
    answer: z.object({ input_tokens: z.number().int() }),
  }),
];
