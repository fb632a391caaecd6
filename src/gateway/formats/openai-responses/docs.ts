import { z } from "zod";
import { rawRoute } from "../../../http/route.ts";
import { relayedRoute, servedByRelay } from "../documentation.ts";

const response = z.looseObject({
  id: z.string(),
  object: z.string(),
  status: z.string(),
  output: z.array(z.unknown()),
  usage: z.unknown(),
});
const params = z.object({ id: z.string() });

export const responsesDocs = [
  relayedRoute({
    path: "/v1/responses",
    summary: "Response",
    description:
      "OpenAI's format, streaming (named, numbered events) and not; unknown fields pass to the provider. Tools that run at the provider, " +
      "`background` and `prompt` are not offered. What the provider keeps (`store`) belongs to the account that made it: only that account " +
      "can build on it (`previous_response_id`, item references), read it or delete it, for 30 days.",
    body: z.looseObject({
      model: z.string(),
      input: z.union([z.string(), z.array(z.looseObject({}))]).nullish(),
      instructions: z.string().nullish(),
      stream: z.boolean().nullish(),
      max_output_tokens: z.number().int().nullish(),
      previous_response_id: z.string().nullish(),
      store: z.boolean().nullish(),
      tools: z.array(z.looseObject({ type: z.string() })).nullish(),
    }),
    answer: response,
  }),
  rawRoute({
    method: "get",
    path: "/v1/responses/:id",
    summary: "A response this account made",
    description: "Read at the provider that keeps it. Free of charge.",
    tag: "Relay",
    access: "api_key",
    params,
    query: z.object({ include: z.array(z.string()).optional() }),
    responses: { 200: response },
    errors: ["not_found", "rate_limited", "upstream_error", "upstream_timeout"],
    handler: servedByRelay,
  }),
  rawRoute({
    method: "delete",
    path: "/v1/responses/:id",
    summary: "Delete a response this account made",
    tag: "Relay",
    access: "api_key",
    params,
    responses: { 200: z.looseObject({ id: z.string(), deleted: z.boolean() }) },
    errors: ["not_found", "rate_limited", "upstream_error", "upstream_timeout"],
    handler: servedByRelay,
  }),
];
