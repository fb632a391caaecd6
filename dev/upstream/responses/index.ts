import { Refused, refuse, type Asked, type Endpoint } from "../endpoint.ts";
import { OVERLOADED } from "../overloaded.ts";
import { openai } from "../vendors.ts";
import { numbered, responseEvents } from "./events.ts";
import { inputTokens, planResponse, promptOf, type ResponsePlan } from "./plan.ts";
import { endOf, responseOf } from "./response.ts";
import { createStore, type Store, type Stored } from "./store.ts";

const PATH = "/v1/responses";

function found(store: Store, { param }: Asked): Stored {
  const stored = store.find(param);
  if (!stored) throw new Refused(404, `Response with id '${param}' not found.`);
  return stored;
}

/** What a continued response counted, in and out: it is input now. */
function earlierTokens(store: Store, id: unknown): number {
  if (typeof id !== "string") return 0;
  const stored = store.find(id);
  return stored
    ? stored.tokens
    : refuse(`Previous response with id '${id}' not found.`, "previous_response_id", "previous_response_not_found");
}

function keep(store: Store, plan: ResponsePlan, earlier: number): void {
  if (plan.body["store"] === false) return;
  const { input } = plan.body;
  const items = Array.isArray(input) ? input : [{ type: "message", role: "user", content: [{ type: "input_text", text: input }] }];
  const tokens = earlier + inputTokens(plan.body) + plan.content.tokens.completion;
  store.keep(plan.id, { response: responseOf(plan, endOf(plan)), input: items, tokens });
}

/** OpenAI's responses: https://platform.openai.com/docs/api-reference/responses */
export function responsesEndpoints(): Endpoint[] {
  const store = createStore();

  function create(asked: Asked): ReturnType<Endpoint["answer"]> {
    const { body } = asked;
    if (typeof body["model"] !== "string") refuse("Missing required parameter: 'model'.", "model", "missing_required_parameter");
    if (typeof body["input"] !== "string" && !Array.isArray(body["input"]))
      refuse("Missing required parameter: 'input'.", "input", "missing_required_parameter");
    const earlier = earlierTokens(store, body["previous_response_id"]);
    const plan = planResponse(asked, earlier);
    keep(store, plan, earlier);
    const failed = responseOf(plan, "failed");
    if (body["stream"] !== true)
      return { kind: "whole", body: responseOf(plan, endOf(plan)), steps: plan.content.pieces.length, failure: failed };
    const error = { code: "server_error", message: OVERLOADED, param: null };
    return {
      kind: "events",
      events: responseEvents(plan),
      error: (sent) => numbered({ type: "error", fields: error }, sent),
      failure: (sent) => numbered({ type: "response.failed", fields: { response: failed } }, sent),
    };
  }

  return [
    { method: "POST", path: new RegExp(`^${PATH}$`), vendor: openai, prompt: promptOf, answer: create },
    {
      method: "GET",
      path: new RegExp(`^${PATH}/([^/]+)$`),
      vendor: openai,
      answer: (asked) => ({ kind: "whole", body: found(store, asked).response }),
    },
    {
      method: "GET",
      path: new RegExp(`^${PATH}/([^/]+)/input_items$`),
      vendor: openai,
      answer: (asked) => ({ kind: "whole", body: { object: "list", data: found(store, asked).input, has_more: false } }),
    },
    {
      method: "DELETE",
      path: new RegExp(`^${PATH}/([^/]+)$`),
      vendor: openai,
      answer(asked) {
        found(store, asked);
        store.remove(asked.param);
        return { kind: "whole", body: { id: asked.param, object: "response", deleted: true } };
      },
    },
  ];
}
