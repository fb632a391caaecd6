import { z } from "zod";
import { relayedRoute } from "../documentation.ts";

const shared = {
  model: z.string(),
  prompt: z.string(),
  n: z.number().int().nullish(),
  size: z.string().nullish(),
  quality: z.string().nullish(),
  response_format: z.enum(["url", "b64_json"]).nullish(),
  stream: z.boolean().nullish(),
  partial_images: z.number().int().nullish(),
};
const answer = z.looseObject({ created: z.number(), data: z.array(z.looseObject({})), usage: z.unknown() });

export const imagesDocs = [
  relayedRoute({
    path: "/v1/images/generations",
    summary: "Pictures from words",
    description: "OpenAI's format, streaming and not. Charged by the picture that came back, by tokens, or both, as the model is priced.",
    body: z.looseObject(shared),
    answer,
  }),
  relayedRoute({
    path: "/v1/images/edits",
    summary: "Pictures from pictures",
    description: "A form with `image` (also `image[]`) and `mask` as files; newer models also take JSON with `images: [{image_url}]`.",
    consumes: "multipart/form-data",
    body: z.looseObject({ ...shared, image: z.unknown(), mask: z.unknown() }),
    answer,
  }),
];
