import { expect } from "chai";
import { inputTokens } from "../../../../dev/upstream/anthropic/count.ts";
import { promptTokens } from "../../../../dev/upstream/openai-chat/plan.ts";
import {
  ANTHROPIC_TOOLS,
  chatBody,
  COUNTED,
  IN_PARALLEL,
  messageBody,
  OPENAI_TOOLS,
  PIXEL,
  tokensCost,
  TOOLS_CALLED,
  type Case,
} from "./case.ts";

const PROMPTED = { prompt_tokens: 1_500, completion_tokens: 800, total_tokens: 2_300 };
const PUT_IN = { input_tokens: 1_500, output_tokens: 800 };
const ASKED = { stream_options: { include_usage: true } };

/** The client of one vendor with a provider that speaks the other's format. */
export const crossedCases: Case[] = [
  ...(["chat", "chatStream", "chatHelper"] as const).map((ask): Case => ({
    name: `Anthropic's provider for the openai client: ${ask}`,
    client: "openai",
    ask,
    model: "claude",
    body: chatBody(COUNTED, ask === "chat" ? {} : ASKED),
    sees: ({ answer }) => ({ text: answer, finish: "stop", usage: PROMPTED }),
  })),
  ...(["chat", "chatStream"] as const).map((ask): Case => ({
    name: `Anthropic's provider for the openai client: tools in parallel, ${ask}`,
    client: "openai",
    ask,
    model: "claude",
    body: chatBody(`${COUNTED} ${IN_PARALLEL}`, { tools: OPENAI_TOOLS, ...(ask === "chat" ? {} : ASKED) }),
    sees: () => ({ tools: TOOLS_CALLED, finish: "tool_calls", usage: PROMPTED }),
  })),
  ...(["message", "messageStream", "messageHelper"] as const).map((ask): Case => ({
    name: `OpenAI's provider for Anthropic's client: ${ask}`,
    client: "anthropic",
    ask,
    model: "chat",
    body: messageBody(COUNTED),
    sees: ({ answer }) => ({ text: answer, finish: "end_turn", usage: PUT_IN }),
  })),
  ...(["message", "messageStream"] as const).map((ask): Case => ({
    name: `OpenAI's provider for Anthropic's client: tools in parallel, ${ask}`,
    client: "anthropic",
    ask,
    model: "chat",
    body: messageBody(`${COUNTED} ${IN_PARALLEL}`, { tools: ANTHROPIC_TOOLS }),
    sees: () => ({ tools: TOOLS_CALLED, finish: "tool_use", usage: PUT_IN }),
  })),
  {
    name: "Anthropic's provider for the openai client: a picture",
    client: "openai",
    ask: "chat",
    model: "claude",
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
    sees: ({ answer, ask }) => ({ text: answer, usage: { prompt_tokens: inputTokens(withPicture(ask())) } }),
    costs: ({ usage }) => tokensCost(Number(usage!["prompt_tokens"]), Number(usage!["completion_tokens"])),
  },
  {
    name: "OpenAI's provider for Anthropic's client: a picture",
    client: "anthropic",
    ask: "message",
    model: "chat",
    body: ({ model, ask }) => ({ model, max_tokens: 900, ...withPicture(ask()) }),
    // One tile of a picture.
    sees: ({ answer, ask }) => ({
      text: answer,
      usage: { input_tokens: promptTokens([{ role: "user", content: ask() }], undefined) + 85 + 170 },
    }),
    costs: ({ usage }) => tokensCost(Number(usage!["input_tokens"]), Number(usage!["output_tokens"])),
  },
  {
    name: "OpenAI's provider for Anthropic's client: tokens of a prompt, counted here",
    client: "anthropic",
    ask: "count",
    model: "chat",
    body: ({ model, ask }) => ({ model, messages: [{ role: "user", content: ask() }] }),
    check: ({ more }) => void expect(more!["input_tokens"]).to.be.within(10, 40),
    costs: "0",
    records: [],
    calls: 0,
  },
];

const withPicture = (text: string) => ({
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text },
        { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } },
      ],
    },
  ],
});
