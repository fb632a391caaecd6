import { Refused, type Asked, type Endpoint } from "../endpoint.ts";
import { anthropic, openai } from "../vendors.ts";

/** What is listed; a call may name any other model and is answered all the same. */
const MODELS = [
  "demo-chat",
  "demo-fast",
  "demo-embedding",
  "demo-image",
  "demo-speech",
  "demo-transcribe",
  "demo-moderation",
  "demo-rerank",
];
const CREATED = 1_767_225_600;

const openaiModel = (id: string): object => ({ id, object: "model", created: CREATED, owned_by: "demo" });

const anthropicModel = (id: string): object => ({
  type: "model",
  id,
  display_name: id.replaceAll("-", " "),
  created_at: new Date(CREATED * 1_000).toISOString(),
});

const asAnthropic = ({ headers }: Asked): boolean => headers["anthropic-version"] !== undefined;

const page = ({ query }: Asked): object => {
  const limit = Number(query.get("limit") ?? 20);
  const after = MODELS.indexOf(query.get("after_id") ?? "");
  const ids = MODELS.slice(after + 1, after + 1 + limit);
  return { data: ids.map(anthropicModel), has_more: MODELS.at(-1) !== ids.at(-1), first_id: ids[0] ?? null, last_id: ids.at(-1) ?? null };
};

/** The models, in the shape of the vendor whose headers the caller sends. */
export const listModels: Endpoint = {
  method: "GET",
  path: /^\/v1\/models$/,
  vendor: openai,
  vendorOf: (headers) => (headers["anthropic-version"] === undefined ? openai : anthropic),
  answer: (asked) => ({ kind: "whole", body: asAnthropic(asked) ? page(asked) : { object: "list", data: MODELS.map(openaiModel) } }),
};

/** One of them; ids may contain slashes. */
export const oneModel: Endpoint = {
  method: "GET",
  path: /^\/v1\/models\/(.+)$/,
  vendor: openai,
  vendorOf: listModels.vendorOf!,
  answer(asked) {
    const id = asked.param;
    if (!MODELS.includes(id))
      throw new Refused(404, asAnthropic(asked) ? `model: ${id}` : `The model '${id}' does not exist`, {
        param: "model",
        code: "model_not_found",
      });
    return { kind: "whole", body: asAnthropic(asked) ? anthropicModel(id) : openaiModel(id) };
  },
};
