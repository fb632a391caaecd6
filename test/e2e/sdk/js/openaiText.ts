import type OpenAI from "openai";
import { errorOf, fields, longMessage, readUntil, refusedWith, type Asks, type Shown } from "./client.ts";

type Whole = OpenAI.ChatCompletionCreateParamsNonStreaming;
type Streamed = OpenAI.ChatCompletionCreateParamsStreaming;

function completionShown(completion: OpenAI.ChatCompletion): Shown {
  const { message, finish_reason: finish } = completion.choices[0]!;
  const calls = (message.tool_calls ?? []).filter((call) => call.type === "function");
  const thinking = (message as { reasoning_content?: string }).reasoning_content;
  return {
    text: message.content ?? "",
    ...(thinking === undefined ? {} : { thinking }),
    tools: calls.map((call) => ({ name: call.function.name, input: JSON.parse(call.function.arguments) as unknown })),
    finish,
    usage: fields(completion.usage),
  };
}

interface Pieces {
  said: string[];
  thinking: string;
  calls: { name: string; input: string }[];
  finish: string | null;
  usage: unknown;
}

function add(to: Pieces, chunk: OpenAI.ChatCompletionChunk): void {
  const choice = chunk.choices[0];
  const delta = choice?.delta as (OpenAI.ChatCompletionChunk.Choice.Delta & { reasoning_content?: string }) | undefined;
  if (delta?.content) to.said.push(delta.content);
  to.thinking += delta?.reasoning_content ?? "";
  for (const { index, function: part } of delta?.tool_calls ?? []) {
    const call = (to.calls[index] ??= { name: "", input: "" });
    call.name += part?.name ?? "";
    call.input += part?.arguments ?? "";
  }
  to.finish = choice?.finish_reason ?? to.finish;
  to.usage = chunk.usage ?? to.usage;
}

const piecesShown = ({ said, thinking, calls, finish, usage }: Pieces): Shown => ({
  text: said.join(""),
  pieces: said.length,
  ...(thinking === "" ? {} : { thinking }),
  tools: calls.map(({ name, input }) => ({ name, input: JSON.parse(input) as unknown })),
  finish,
  usage: usage === null ? null : fields(usage),
});

/** Chat completions, and completions of old. */
export const chatAsks: Asks<OpenAI> = {
  async chat(client, { body }) {
    const { data, request_id: requestId } = await client.chat.completions.create(body as unknown as Whole).withResponse();
    return { ...completionShown(data), requestId };
  },
  async chatStream(client, { body, leaveAfter }) {
    const asked = client.chat.completions.create({ ...(body as unknown as Streamed), stream: true });
    const { data: stream, request_id: requestId } = await asked.withResponse();
    const got: Pieces = { said: [], thinking: "", calls: [], finish: null, usage: null };
    try {
      for await (const chunk of stream) {
        add(got, chunk);
        if (got.said.length === leaveAfter) stream.controller.abort();
      }
    } catch (error) {
      return { text: got.said.join(""), pieces: got.said.length, requestId, error: errorOf(error) };
    }
    return { ...piecesShown(got), requestId };
  },
  async chatHelper(client, { body }) {
    const stream = client.chat.completions.stream({ ...(body as unknown as Streamed), stream: true });
    let text = "";
    stream.on("content.delta", ({ delta }) => (text += delta));
    const shown = completionShown(await stream.finalChatCompletion());
    return { ...shown, more: { told: text } };
  },
  async chatParsed(client, { body }) {
    const completion = await client.chat.completions.parse(body as unknown as Whole);
    return { usage: fields(completion.usage), more: { parsed: JSON.parse(completion.choices[0]!.message.content ?? "") as unknown } };
  },
  async completion(client, { body }) {
    const asked = client.completions.create(body as unknown as OpenAI.CompletionCreateParamsNonStreaming);
    const { data, request_id: requestId } = await asked.withResponse();
    return { text: data.choices[0]!.text, finish: data.choices[0]!.finish_reason, usage: fields(data.usage), requestId };
  },
  async completionStream(client, { body }) {
    const shown: Shown = { text: "", usage: null, finish: null };
    const asked = { ...(body as unknown as OpenAI.CompletionCreateParamsStreaming), stream: true as const };
    for await (const chunk of await client.completions.create(asked)) {
      shown.text += chunk.choices[0]?.text ?? "";
      shown.finish = chunk.choices[0]?.finish_reason ?? shown.finish ?? null;
      if (chunk.usage) shown.usage = fields(chunk.usage);
    }
    return shown;
  },
  tooLarge: (client, task, sent) => chatAsks["chat"]!(client, { ...task, body: longMessage(task.body) }, sent),
  /** Asks again while the first answer, of which five pieces came, is still open; leaves that when the second is refused. */
  async behindHold(client, { body }, sent) {
    const stream = await client.chat.completions.create({ ...(body["first"] as Streamed), stream: true });
    let pieces = 0;
    await readUntil(stream, (chunk) => chunk.choices[0]?.delta.content !== undefined && ++pieces === 5);
    const second = client.chat.completions.create(body["second"] as Whole);
    await refusedWith(429, sent, second);
    stream.controller.abort();
    return completionShown(await second);
  },
};
