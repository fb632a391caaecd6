import { ANTHROPIC_TOOLS, chatBody, COUNTED, IN_PARALLEL, messageBody, OPENAI_TOOLS, TOOLS_CALLED, type Case } from "./case.ts";

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
];
