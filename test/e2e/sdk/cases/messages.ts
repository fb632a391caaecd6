import { expect } from "chai";
import { inputTokens } from "../../../../dev/upstream/anthropic/count.ts";
import { ANTHROPIC_TOOLS, COUNTED, IN_PARALLEL, messageBody, PIXEL, tokensCost, TOOLS_CALLED, type Case } from "./case.ts";

const USAGE = { input_tokens: 1_500, output_tokens: 800 };
const FREE: Pick<Case, "costs" | "records" | "calls"> = { costs: "0", records: [], calls: 0 };
const picture = (text: string): object[] => [
  { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } },
  { type: "text", text },
];

/** Anthropic's messages. */
export const messageCases: Case[] = [
  {
    name: "a message",
    client: "anthropic",
    ask: "message",
    body: messageBody(COUNTED, { system: "Be brief." }),
    sees: ({ answer }) => ({ text: answer, finish: "end_turn", usage: USAGE }),
  },
  {
    name: "a message as a stream",
    client: "anthropic",
    ask: "messageStream",
    body: messageBody(COUNTED),
    sees: ({ answer, pieces }) => ({ text: answer, pieces: pieces.length, finish: "end_turn", usage: USAGE }),
    check: ({ events }) => void expect(events!.at(-1)).to.equal("message_stop"),
  },
  {
    name: "a message through .stream()",
    client: "anthropic",
    ask: "messageHelper",
    body: messageBody(COUNTED),
    sees: ({ answer }) => ({ text: answer, finish: "end_turn", usage: USAGE, more: { told: answer } }),
  },
  {
    name: "a message with what comes from a cache and goes into one",
    client: "anthropic",
    ask: "message",
    body: messageBody("[[usage:1500,800 cached=500 cache_write=400]]"),
    sees: ({ answer }) => ({
      text: answer,
      usage: { input_tokens: 600, cache_read_input_tokens: 500, cache_creation_input_tokens: 400, output_tokens: 800 },
    }),
    // 600 at 30, 500 at 3, 400 at 37.5 and 800 at 60 per 1000.
    costs: "82.5",
  },
  {
    name: "tools used in parallel",
    client: "anthropic",
    ask: "message",
    body: messageBody(`${COUNTED} ${IN_PARALLEL}`, { tools: ANTHROPIC_TOOLS }),
    sees: () => ({ tools: TOOLS_CALLED, finish: "tool_use", usage: USAGE }),
  },
  {
    name: "tools used in parallel, their input as a stream",
    client: "anthropic",
    ask: "messageStream",
    body: messageBody(`${COUNTED} ${IN_PARALLEL}`, { tools: ANTHROPIC_TOOLS }),
    sees: () => ({ tools: TOOLS_CALLED, finish: "tool_use", usage: USAGE }),
  },
  {
    name: "a picture in a message",
    client: "anthropic",
    ask: "message",
    body: ({ model, ask }) => ({ model, max_tokens: 900, messages: [{ role: "user", content: picture(ask()) }] }),
    sees: ({ answer, ask }) => ({
      text: answer,
      usage: { input_tokens: inputTokens({ messages: [{ role: "user", content: picture(ask()) }] }) },
    }),
    costs: ({ usage }) => tokensCost(Number(usage!["input_tokens"]), Number(usage!["output_tokens"])),
  },
  ...(["message", "messageStream"] as const).map((ask): Case => ({
    name: `thinking before a message${ask === "messageStream" ? ", as a stream" : ""}`,
    client: "anthropic",
    ask,
    body: messageBody("[[usage:1500,800 reasoning=300]]", { max_tokens: 2_000, thinking: { type: "enabled", budget_tokens: 1_024 } }),
    sees: ({ answer }) => ({ text: answer, usage: USAGE }),
    check: ({ thinking }) => void expect(thinking).to.be.a("string").that.is.not.empty,
  })),
  {
    name: "tokens of a prompt, counted free of charge",
    client: "anthropic",
    ask: "count",
    body: ({ model, ask }) => ({ model, messages: [{ role: "user", content: ask() }] }),
    sees: ({ ask }) => ({ more: { input_tokens: inputTokens({ messages: [{ role: "user", content: ask() }] }) } }),
    ...FREE,
    calls: 1,
  },
  {
    name: "a list of the models, page by page",
    client: "anthropic",
    ask: "models",
    body: () => ({}),
    check({ more }, { model }) {
      expect(more!["names"]).to.include(model);
      expect(new Set(more!["names"] as string[]).size).to.equal((more!["names"] as string[]).length);
    },
    sent: (sent) => expect(new Set(sent)).to.deep.equal(new Set([200])),
    ...FREE,
  },
  {
    name: "one model, with / and : in its name",
    client: "anthropic",
    ask: "model",
    body: ({ model }) => ({ model }),
    sees: ({ model }) => ({ more: { id: model, type: "model", display_name: model } }),
    ...FREE,
  },
];
