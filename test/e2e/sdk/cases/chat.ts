import { expect } from "chai";
import { promptTokens } from "../../../../dev/upstream/openai-chat/plan.ts";
import { chatBody, COUNTED, IN_PARALLEL, OPENAI_TOOLS, PIXEL, SCHEMA, tokensCost, TOOLS_CALLED, type Case } from "./case.ts";

const USAGE = { prompt_tokens: 1_500, completion_tokens: 800, total_tokens: 2_300 };
const ASKED = { stream_options: { include_usage: true } };

/** Chat completions and completions of old. */
export const chatCases: Case[] = [
  {
    name: "a chat",
    client: "openai",
    ask: "chat",
    body: chatBody(COUNTED),
    sees: ({ answer }) => ({ text: answer, finish: "stop", usage: USAGE }),
  },
  {
    name: "a chat as a stream, with the usage that was asked for",
    client: "openai",
    ask: "chatStream",
    body: chatBody(COUNTED, ASKED),
    sees: ({ answer, pieces }) => ({ text: answer, pieces: pieces.length, finish: "stop", usage: USAGE }),
  },
  {
    name: "a chat as a stream, without usage",
    client: "openai",
    ask: "chatStream",
    body: chatBody(COUNTED),
    sees: ({ answer }) => ({ text: answer, usage: null }),
  },
  {
    name: "a chat through .stream()",
    client: "openai",
    ask: "chatHelper",
    body: chatBody(COUNTED, ASKED),
    sees: ({ answer }) => ({ text: answer, usage: USAGE, more: { told: answer } }),
  },
  {
    name: "an answer as a structure, through .parse()",
    client: "openai",
    ask: "chatParsed",
    body: chatBody(COUNTED, { response_format: { type: "json_schema", json_schema: { name: "place", strict: true, schema: SCHEMA } } }),
    sees: () => ({ usage: USAGE, more: { parsed: { city: "some city" } } }),
  },
  {
    name: "tools called in parallel",
    client: "openai",
    ask: "chat",
    body: chatBody(`${COUNTED} ${IN_PARALLEL}`, { tools: OPENAI_TOOLS }),
    sees: () => ({ tools: TOOLS_CALLED, finish: "tool_calls", usage: USAGE }),
  },
  {
    name: "tools called in parallel, their arguments as a stream",
    client: "openai",
    ask: "chatStream",
    body: chatBody(`${COUNTED} ${IN_PARALLEL}`, { tools: OPENAI_TOOLS, ...ASKED }),
    sees: () => ({ tools: TOOLS_CALLED, finish: "tool_calls", usage: USAGE }),
  },
  {
    name: "a picture in a chat",
    client: "openai",
    ask: "chat",
    body: ({ model, ask }) => ({
      model,
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: ask() },
            { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } },
          ],
        },
      ],
    }),
    sees: ({ answer, ask }) => ({
      text: answer,
      usage: { prompt_tokens: promptTokens([{ role: "user", content: ask() }], undefined) + 85 + 170 },
    }),
    costs: ({ usage }) => tokensCost(Number(usage!["prompt_tokens"]), Number(usage!["completion_tokens"])),
  },
  {
    name: "thoughts of a model that reasons, as a stream",
    client: "openai",
    ask: "chatStream",
    body: chatBody("[[usage:1500,800 reasoning=300]] [[reasoning:5]]", { ...ASKED, reasoning_effort: "medium" }),
    sees: ({ answer }) => ({ text: answer, usage: { completion_tokens_details: { reasoning_tokens: 300 } } }),
    check: ({ thinking }) => void expect(thinking).to.be.a("string").that.is.not.empty,
  },
  {
    name: "a completion of old",
    client: "openai",
    ask: "completion",
    body: ({ model, ask }) => ({ model, prompt: ask(COUNTED) }),
    sees: () => ({ usage: USAGE }),
    check: ({ text }) => void expect(text).to.not.equal(""),
  },
  {
    name: "a completion of old as a stream",
    client: "openai",
    ask: "completionStream",
    body: ({ model, ask }) => ({ model, prompt: ask(COUNTED), ...ASKED }),
    sees: () => ({ usage: USAGE }),
    check: ({ text }) => void expect(text).to.not.equal(""),
  },
];
