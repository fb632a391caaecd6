import { expect } from "chai";

/** An answer, as a model would have given it. */
export interface Said {
  thinking: string[];
  signature: string;
  text: string[];
  tools: { id: string; name: string; input: object; pieces: number }[];
  usage: { input: number; cached: number; written: number; output: number };
}

type Fields = Record<string, unknown>;

const pieces = (text: string, count: number): string[] => {
  const size = Math.ceil(text.length / (count + 1));
  return Array.from({ length: count + 1 }, (_, i) => text.slice(i * size, (i + 1) * size));
};

const named = (type: string, fields: object = {}): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;

/** The answer as Anthropic streams it. */
export function messageEvents(said: Said): string {
  let index = 0;
  const block = (start: object, deltas: object[]): string =>
    named("content_block_start", { index, content_block: start }) +
    deltas.map((delta) => named("content_block_delta", { index, delta })).join("") +
    named("content_block_stop", { index: index++ });
  const { usage } = said;
  const input = { input_tokens: usage.input, cache_read_input_tokens: usage.cached, cache_creation_input_tokens: usage.written };
  return [
    named("message_start", {
      message: { id: "msg_1", type: "message", role: "assistant", model: "m", content: [], usage: { ...input, output_tokens: 1 } },
    }),
    named("ping"),
    said.thinking.length > 0
      ? block({ type: "thinking", thinking: "", signature: "" }, [
          ...said.thinking.map((thinking) => ({ type: "thinking_delta", thinking })),
          { type: "signature_delta", signature: said.signature },
        ])
      : "",
    said.text.length > 0
      ? block(
          { type: "text", text: "" },
          said.text.map((text) => ({ type: "text_delta", text })),
        )
      : "",
    ...said.tools.map(({ id, name, input: object, pieces: count }) =>
      block(
        { type: "tool_use", id, name, input: {} },
        pieces(JSON.stringify(object), count).map((partial_json) => ({ type: "input_json_delta", partial_json })),
      ),
    ),
    named("message_delta", {
      delta: { stop_reason: said.tools.length > 0 ? "tool_use" : "end_turn" },
      usage: { output_tokens: usage.output },
    }),
    named("message_stop"),
  ].join("");
}

/** The answer as OpenAI streams it; whose turn it is among the tool calls is drawn from `turns`. */
export function chunkEvents(said: Said, turns: Iterator<number>): string {
  const chunk = (fields: object): string =>
    `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", model: "m", ...fields })}\n\n`;
  const delta = (fields: object, finish: string | null = null): string =>
    chunk({ choices: [{ index: 0, delta: fields, finish_reason: finish }] });
  const calls = said.tools.map(({ id, name, input, pieces: count }, index) => [
    { tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] },
    ...pieces(JSON.stringify(input), count).map((args) => ({ tool_calls: [{ index, function: { arguments: args } }] })),
  ]);
  const interleaved: object[] = [];
  while (calls.some((call) => call.length > 0)) {
    const open = calls.filter((call) => call.length > 0);
    interleaved.push(open[(turns.next().value ?? 0) % open.length]!.shift()!);
  }
  const { input, cached, written, output } = said.usage;
  const prompt = input + cached + written;
  return [
    delta({ role: "assistant", content: "" }),
    ...said.thinking.map((reasoning_content) => delta({ reasoning_content })),
    ...said.text.map((content) => delta({ content })),
    ...interleaved.map((fields) => delta(fields)),
    delta({}, said.tools.length > 0 ? "tool_calls" : "stop"),
    chunk({
      choices: [],
      usage: {
        prompt_tokens: prompt,
        completion_tokens: output,
        total_tokens: prompt + output,
        prompt_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
      },
    }),
    "data: [DONE]\n\n",
  ].join("");
}

const dataOf = (stream: string): string[] => stream.split("\n").flatMap((line) => (line.startsWith("data: ") ? [line.slice(6)] : []));

interface Assembled {
  thinking: string;
  text: string;
  tools: { id: unknown; name: unknown; input: unknown }[];
  usage: Fields;
}

/** Puts chunks together as OpenAI's clients do. */
export function assembleChunks(stream: string): Assembled & { finish: unknown; blocks: unknown[] } {
  const got = { thinking: "", text: "", finish: undefined as unknown, usage: {} as Fields, blocks: [] as unknown[] };
  const calls: { id: unknown; name: unknown; json: string }[] = [];
  for (const data of dataOf(stream)) {
    if (data === "[DONE]") continue;
    const { choices, usage } = JSON.parse(data) as { choices: { delta: Fields; finish_reason: unknown }[]; usage?: Fields };
    if (usage) got.usage = usage;
    for (const { delta, finish_reason } of choices) {
      got.finish = finish_reason ?? got.finish;
      got.text += (delta["content"] as string | undefined) ?? "";
      got.thinking += (delta["reasoning_content"] as string | undefined) ?? "";
      got.blocks.push(...((delta["thinking_blocks"] ?? []) as unknown[]));
      for (const { index, id, function: called } of (delta["tool_calls"] ?? []) as { index: number; id?: string; function: Fields }[]) {
        calls[index] ??= { id, name: called["name"], json: "" };
        calls[index].json += called["arguments"] as string;
      }
    }
  }
  return { ...got, tools: calls.map(({ id, name, json }) => ({ id, name, input: JSON.parse(json) as unknown })) };
}

/** Puts events together as Anthropic's clients do; blocks must follow each other and end. */
export function assembleMessage(stream: string): Assembled & { stopReason: unknown } {
  const got = { thinking: "", text: "", stopReason: undefined as unknown, usage: {} as Fields };
  const tools: { id: unknown; name: unknown; json: string }[] = [];
  let open = -1;
  let blocks = 0;
  let ended = false;
  for (const data of dataOf(stream)) {
    const event = JSON.parse(data) as {
      type: string;
      index?: number;
      delta?: Fields;
      content_block?: Fields;
      usage?: Fields;
      message?: Fields;
    };
    expect(ended, "an event after the end").to.equal(false);
    switch (event.type) {
      case "message_start":
        got.usage = event.message!["usage"] as Fields;
        break;
      case "content_block_start":
        expect([open, event.index], "blocks overlap").to.deep.equal([-1, blocks++]);
        open = event.index!;
        if (event.content_block!["type"] === "tool_use")
          tools.push({ id: event.content_block!["id"], name: event.content_block!["name"], json: "" });
        break;
      case "content_block_delta":
        expect(event.index).to.equal(open);
        got.text += (event.delta!["text"] as string | undefined) ?? "";
        got.thinking += (event.delta!["thinking"] as string | undefined) ?? "";
        if (event.delta!["type"] === "input_json_delta") tools.at(-1)!.json += event.delta!["partial_json"] as string;
        break;
      case "content_block_stop":
        expect(event.index).to.equal(open);
        open = -1;
        break;
      case "message_delta":
        got.stopReason = event.delta!["stop_reason"];
        got.usage = { ...got.usage, ...event.usage };
        break;
      default:
        ended = event.type === "message_stop";
    }
  }
  expect({ open, ended }, "the end").to.deep.equal({ open: -1, ended: true });
  return { ...got, tools: tools.map(({ id, name, json }) => ({ id, name, input: JSON.parse(json || "{}") as unknown })) };
}
