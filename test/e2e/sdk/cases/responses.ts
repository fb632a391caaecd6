import { expect } from "chai";
import { COUNTED, IN_PARALLEL, SCHEMA, tokensCost, TOOLS_CALLED, type Case, type Given } from "./case.ts";

const USAGE = { input_tokens: 1_500, output_tokens: 800, total_tokens: 2_300 };
const TOOLS = TOOLS_CALLED.map(({ name }) => ({ type: "function", name, parameters: SCHEMA, strict: true }));

const body =
  (directives: string, more: object = {}) =>
  ({ model, ask }: Given): Record<string, unknown> => ({ model, input: ask(directives), ...more });

/** The Responses API. */
export const responseCases: Case[] = [
  {
    name: "a response",
    client: "openai",
    ask: "response",
    body: body(COUNTED),
    sees: ({ answer }) => ({ text: answer, finish: "completed", usage: USAGE }),
  },
  {
    name: "a response as a stream",
    client: "openai",
    ask: "responseStream",
    body: body(COUNTED),
    sees: ({ answer }) => ({ text: answer, finish: "completed", usage: USAGE }),
    check: ({ events }) =>
      void expect(events).to.include.members(["response.created", "response.output_text.delta", "response.output_item.done"]),
  },
  {
    name: "a response through .stream()",
    client: "openai",
    ask: "responseHelper",
    body: body(COUNTED),
    sees: ({ answer }) => ({ text: answer, usage: USAGE, more: { told: answer } }),
  },
  {
    name: "a response that calls tools in parallel, their arguments as a stream",
    client: "openai",
    ask: "responseStream",
    body: body(`${COUNTED} ${IN_PARALLEL}`, { tools: TOOLS }),
    sees: () => ({ tools: TOOLS_CALLED, usage: USAGE, more: { inputs: TOOLS_CALLED.map(({ input }) => input) } }),
  },
  {
    name: "a response that thinks first",
    client: "openai",
    ask: "response",
    body: body("[[usage:1500,800 reasoning=300]]", { reasoning: { effort: "low", summary: "auto" } }),
    sees: ({ answer }) => ({ text: answer, usage: { output_tokens_details: { reasoning_tokens: 300 } } }),
    check: ({ thinking }) => void expect(thinking).to.be.a("string").that.is.not.empty,
  },
  {
    name: "a response that stops at its cap is charged",
    client: "openai",
    ask: "responseStream",
    body: body("", { max_output_tokens: 20 }),
    sees: () => ({ finish: "incomplete", usage: { output_tokens: 20 } }),
    costs: ({ usage }) => tokensCost(Number(usage!["input_tokens"]), 20),
  },
  {
    name: "a response that is kept, fetched, continued and deleted",
    client: "openai",
    ask: "responseKept",
    body: body(COUNTED),
    sees: ({ answer }) => ({ text: answer, more: { same: true, previous: true, gone: 404 } }),
    sent: [200, 200, 200, 200, 404],
    costs: "186",
    records: [{ status: "ok" }, { status: "ok" }],
    calls: 2,
  },
];
