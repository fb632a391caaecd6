import { z } from "zod";
import { rawRoute, type Route } from "../../http/route.ts";
import { servedByRelay } from "../formats/documentation.ts";

const openai = z.object({ id: z.string(), object: z.literal("model"), created: z.number(), owned_by: z.string() });
const anthropic = z.object({
  type: z.literal("model"),
  id: z.string(),
  display_name: z.string(),
  created_at: z.string(),
  max_input_tokens: z.number().nullable(),
  max_tokens: z.number().nullable(),
});

export const modelsDocs: readonly Route[] = [
  rawRoute({
    method: "get",
    path: "/v1/models",
    summary: "Models this key may call",
    description: "In OpenAI's shape; in Anthropic's, page by page, for callers that send `anthropic-version`.",
    tag: "Relay",
    access: "api_key",
    query: z.object({ limit: z.coerce.number().int().optional(), after_id: z.string().optional(), before_id: z.string().optional() }),
    responses: {
      200: z.union([
        z.object({ object: z.literal("list"), data: z.array(openai) }),
        z.object({ data: z.array(anthropic), has_more: z.boolean(), first_id: z.string().nullable(), last_id: z.string().nullable() }),
      ]),
    },
    errors: ["rate_limited"],
    handler: servedByRelay,
  }),
  rawRoute({
    method: "get",
    path: "/v1/models/:id",
    summary: "One of them",
    description: "The id may hold slashes and colons, encoded or not.",
    tag: "Relay",
    access: "api_key",
    params: z.object({ id: z.string() }),
    responses: { 200: z.union([openai, anthropic]) },
    errors: ["model_not_found", "rate_limited"],
    handler: servedByRelay,
  }),
];
