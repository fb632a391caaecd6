import type OpenAI from "openai";
import { toFile } from "openai";
import { fields, type Asks } from "./client.ts";

const bytesOf = (base64: unknown): Buffer => Buffer.from(String(base64), "base64");

/** A body's file, which a case has in base64. */
async function withFile<T>(body: Record<string, unknown>, field: string, name: string, type: string): Promise<T> {
  return { ...body, [field]: await toFile(bytesOf(body[field]), name, { type }) } as T;
}
const sound = <T>(body: Record<string, unknown>): Promise<T> => withFile<T>(body, "file", "toll.wav", "audio/wav");

type Transcribed = OpenAI.Audio.TranscriptionCreateParamsNonStreaming<"json">;
type TranscribedStream = OpenAI.Audio.TranscriptionCreateParamsStreaming;

/** Everything of OpenAI's that is not an answer in words. */
export const mediaAsks: Asks<OpenAI> = {
  async embeddings(client, { body }) {
    const answer = await client.embeddings.create(body as unknown as OpenAI.EmbeddingCreateParams);
    const vectors = answer.data.map(({ embedding }) => [...embedding]);
    return {
      usage: fields(answer.usage),
      more: {
        count: vectors.length,
        dimensions: vectors[0]!.length,
        first: vectors.map((vector) => vector.slice(0, 3)),
        length: Math.hypot(...vectors[0]!),
      },
    };
  },
  async models(client) {
    const names: string[] = [];
    for await (const model of client.models.list()) names.push(model.id);
    return { more: { names } };
  },
  async model(client, { body }) {
    return { more: fields(await client.models.retrieve(String(body["model"]))) };
  },
  async moderation(client, { body }) {
    const answer = await client.moderations.create(body as unknown as OpenAI.ModerationCreateParams);
    return {
      more: { flagged: answer.results.map(({ flagged }) => flagged), hate: answer.results.map(({ categories }) => categories.hate) },
    };
  },
  async image(client, { body }) {
    const answer = await client.images.generate(body as unknown as OpenAI.ImageGenerateParamsNonStreaming);
    return { more: { heads: (answer.data ?? []).map(({ b64_json: picture }) => bytesOf(picture).toString("latin1", 1, 4)) } };
  },
  async imageStream(client, { body }) {
    const heads: string[] = [];
    const events = new Set<string>();
    const asked = { ...(body as unknown as OpenAI.ImageGenerateParamsStreaming), stream: true as const };
    for await (const event of await client.images.generate(asked)) {
      events.add(event.type);
      heads.push(bytesOf(event.b64_json).toString("latin1", 1, 4));
    }
    return { events: [...events], more: { heads } };
  },
  async imageEdit(client, { body }) {
    const answer = await client.images.edit(await withFile<OpenAI.ImageEditParamsNonStreaming>(body, "image", "toll.png", "image/png"));
    return { more: { heads: (answer.data ?? []).map(({ b64_json: picture }) => bytesOf(picture).toString("latin1", 1, 4)) } };
  },
  /** No client has it; theirs can be used for any path. */
  async rerank(client, { body }) {
    const answer = await client.post<{ results: { index: number }[]; usage: Record<string, unknown> }>("/rerank", { body });
    return { usage: answer.usage, more: { order: answer.results.map(({ index }) => index) } };
  },
  async speech(client, { body }) {
    const answer = await client.audio.speech.create(body as unknown as OpenAI.Audio.SpeechCreateParams);
    const bytes = Buffer.from(await answer.arrayBuffer());
    return { more: { type: answer.headers.get("content-type"), head: bytes.toString("latin1", 0, 4), bytes: bytes.length } };
  },
  async transcription(client, { body }) {
    const answer = await client.audio.transcriptions.create(await sound<Transcribed>(body));
    return { text: answer.text, usage: fields(answer.usage) };
  },
  async transcriptionStream(client, { body }) {
    const asked = await sound<TranscribedStream>({ ...body, stream: true });
    let told = "";
    let text = "";
    let usage: unknown = null;
    for await (const event of await client.audio.transcriptions.create(asked)) {
      if (event.type === "transcript.text.delta") told += event.delta;
      if (event.type === "transcript.text.done") ({ text, usage } = { usage: null, ...event });
    }
    return { text, usage: fields(usage), more: { told } };
  },
  async translation(client, { body }) {
    const answer = await client.audio.translations.create(await sound<OpenAI.Audio.TranslationCreateParams<"json">>(body));
    return { text: answer.text };
  },
};
