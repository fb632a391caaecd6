import type OpenAI from "openai";
import { fields, type Asks, type Shown } from "./client.ts";

type Whole = OpenAI.Responses.ResponseCreateParamsNonStreaming;
type Streamed = OpenAI.Responses.ResponseCreateParamsStreaming;

function responseShown(response: OpenAI.Responses.Response): Shown {
  const calls = response.output.filter((item) => item.type === "function_call");
  const thoughts = response.output.filter((item) => item.type === "reasoning").flatMap((item) => item.summary);
  return {
    text: response.output_text,
    ...(thoughts.length === 0 ? {} : { thinking: thoughts.map(({ text }) => text).join("") }),
    tools: calls.map((call) => ({ name: call.name, input: JSON.parse(call.arguments) as unknown })),
    finish: response.status ?? null,
    usage: fields(response.usage),
  };
}

/** The Responses API. */
export const responseAsks: Asks<OpenAI> = {
  async response(client, { body }) {
    const { data, request_id: requestId } = await client.responses.create(body as Whole).withResponse();
    return { ...responseShown(data), requestId };
  },
  async responseStream(client, { body, leaveAfter }) {
    const said: string[] = [];
    const events = new Set<string>();
    const pieces = new Map<number, string>();
    let ended: OpenAI.Responses.Response | undefined;
    const asked = client.responses.create({ ...(body as unknown as Streamed), stream: true });
    const { data: stream, request_id: requestId } = await asked.withResponse();
    for await (const event of stream) {
      events.add(event.type);
      if (event.type === "response.output_text.delta" && said.push(event.delta) === leaveAfter) stream.controller.abort();
      if (event.type === "response.function_call_arguments.delta")
        pieces.set(event.output_index, (pieces.get(event.output_index) ?? "") + event.delta);
      if (event.type === "response.completed" || event.type === "response.incomplete") ended = event.response;
    }
    const told = said.join("");
    const got = { text: told, pieces: said.length, events: [...events], requestId };
    if (!ended) return got;
    // The client gives `output_text` to whole answers only.
    const shown = responseShown({ ...ended, output_text: told });
    return { ...shown, ...got, more: { inputs: [...pieces.values()].map((text) => JSON.parse(text) as unknown) } };
  },
  async responseHelper(client, { body }) {
    let told = "";
    const stream = client.responses.stream({ ...(body as unknown as Streamed), stream: true });
    stream.on("response.output_text.delta", ({ delta }) => (told += delta));
    const shown = responseShown(await stream.finalResponse());
    return { ...shown, more: { told } };
  },
  async responseKept(client, { body }) {
    const made = await client.responses.create(body as Whole);
    const again = await client.responses.retrieve(made.id);
    const next = await client.responses.create({ ...(body as Whole), previous_response_id: made.id });
    await client.responses.delete(made.id);
    const gone = await client.responses.retrieve(made.id).catch((error: { status?: number }) => error.status);
    return { text: again.output_text, more: { same: again.id === made.id, previous: next.previous_response_id === made.id, gone } };
  },
};
