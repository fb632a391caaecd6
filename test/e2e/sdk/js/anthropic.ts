import type Anthropic from "@anthropic-ai/sdk";
import { errorOf, fields, longMessage, readUntil, refusedWith, type Asks, type Shown } from "./client.ts";

type Whole = Anthropic.MessageCreateParamsNonStreaming;
type Streamed = Anthropic.MessageCreateParamsStreaming;

function messageShown(message: Anthropic.Message): Shown {
  const thoughts = message.content.filter((block) => block.type === "thinking");
  return {
    text: message.content.map((block) => (block.type === "text" ? block.text : "")).join(""),
    ...(thoughts.length === 0 ? {} : { thinking: thoughts.map(({ thinking }) => thinking).join("") }),
    tools: message.content.filter((block) => block.type === "tool_use").map(({ name, input }) => ({ name, input })),
    finish: message.stop_reason,
    usage: fields(message.usage),
  };
}

interface Pieces {
  said: string[];
  thinking: string;
  tools: { name: string; input: string }[];
  finish: string | null;
  usage: object;
}

function add(to: Pieces, event: Anthropic.RawMessageStreamEvent): void {
  if (event.type === "message_start") to.usage = { ...event.message.usage };
  if (event.type === "content_block_start" && event.content_block.type === "tool_use")
    to.tools.push({ name: event.content_block.name, input: "" });
  if (event.type === "content_block_delta") {
    const { delta } = event;
    if (delta.type === "text_delta") to.said.push(delta.text);
    if (delta.type === "thinking_delta") to.thinking += delta.thinking;
    if (delta.type === "input_json_delta") to.tools.at(-1)!.input += delta.partial_json;
  }
  if (event.type === "message_delta") {
    to.finish = event.delta.stop_reason;
    to.usage = { ...to.usage, ...event.usage };
  }
}

const piecesShown = ({ said, thinking, tools, finish, usage }: Pieces): Shown => ({
  text: said.join(""),
  pieces: said.length,
  ...(thinking === "" ? {} : { thinking }),
  tools: tools.map(({ name, input }) => ({ name, input: JSON.parse(input) as unknown })),
  finish,
  usage: fields(usage),
});

/** What people do with Anthropic's client. */
export const anthropicAsks: Asks<Anthropic> = {
  async message(client, { body }) {
    const { data, request_id: requestId } = await client.messages.create(body as unknown as Whole).withResponse();
    return { ...messageShown(data), requestId: requestId ?? null };
  },
  async messageStream(client, { body, leaveAfter }) {
    const asked = client.messages.create({ ...(body as unknown as Streamed), stream: true });
    const { data: stream, request_id: id } = await asked.withResponse();
    const requestId = id ?? null;
    const got: Pieces = { said: [], thinking: "", tools: [], finish: null, usage: {} };
    const events = new Set<string>();
    try {
      for await (const event of stream) {
        events.add(event.type);
        add(got, event);
        if (got.said.length === leaveAfter) stream.controller.abort();
      }
    } catch (error) {
      return { text: got.said.join(""), pieces: got.said.length, requestId, error: errorOf(error) };
    }
    return { ...piecesShown(got), events: [...events], requestId };
  },
  async messageHelper(client, { body }) {
    let told = "";
    const stream = client.messages.stream(body as unknown as Whole).on("text", (delta) => (told += delta));
    const shown = messageShown(await stream.finalMessage());
    return { ...shown, more: { told } };
  },
  async count(client, { body }) {
    return { more: fields(await client.messages.countTokens(body as unknown as Anthropic.MessageCountTokensParams)) };
  },
  async models(client) {
    const names: string[] = [];
    for await (const model of client.models.list({ limit: 3 })) names.push(model.id);
    return { more: { names } };
  },
  async model(client, { body }) {
    return { more: fields(await client.models.retrieve(String(body["model"]))) };
  },
  tooLarge: (client, task, sent) => anthropicAsks["message"]!(client, { ...task, body: longMessage(task.body) }, sent),
  /** Asks again while the first answer, of which five pieces came, is still open; leaves that when the second is refused. */
  async behindHold(client, { body }, sent) {
    const stream = await client.messages.create({ ...(body["first"] as Streamed), stream: true });
    let pieces = 0;
    await readUntil(stream, (event) => event.type === "content_block_delta" && ++pieces === 5);
    const second = client.messages.create(body["second"] as Whole);
    await refusedWith(429, sent, second);
    stream.controller.abort();
    return messageShown(await second);
  },
};
