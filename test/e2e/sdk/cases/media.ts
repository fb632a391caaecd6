import { expect } from "chai";
import { wav } from "../../../support/sounds.ts";
import { PIXEL, type Case } from "./case.ts";

const FREE: Pick<Case, "costs" | "records" | "calls"> = { costs: "0", records: [], calls: 0 };
const sound = wav(12.4).toString("base64");

/** The vectors of these texts as the provider itself gives them, in numbers. */
async function vectors(upstream: string, input: unknown): Promise<number[][]> {
  const answer = await fetch(`${upstream}/v1/embeddings`, {
    method: "POST",
    headers: { authorization: "Bearer upstream-key" },
    body: JSON.stringify({ model: "demo-chat", input, encoding_format: "float" }),
  });
  return ((await answer.json()) as { data: { embedding: number[] }[] }).data.map(({ embedding }) => embedding);
}

/** Embeddings, models, moderation, pictures and sound. */
export const mediaCases: Case[] = [
  ...[{}, { encoding_format: "float" }].map((format): Case => ({
    name: `embeddings ${"encoding_format" in format ? "in numbers" : "as the client asks for them (base64)"}`,
    client: "openai",
    ask: "embeddings",
    body: ({ model, ask }) => ({ model, input: [ask("[[usage:1500,0]]"), "Tolls are paid at the gate."], ...format }),
    sees: () => ({ usage: { prompt_tokens: 1_500, total_tokens: 1_500 }, more: { count: 2, dimensions: 1_536 } }),
    async check({ more }, { upstream, ask }) {
      expect(more!["length"]).to.be.closeTo(1, 1e-5);
      const own = await vectors(upstream, [ask("[[usage:1500,0]]"), "Tolls are paid at the gate."]);
      expect(more!["first"]).to.deep.equal(own.map((vector) => vector.slice(0, 3)));
    },
    costs: "45",
  })),
  {
    name: "a list of the models, without those that have no price",
    client: "openai",
    ask: "models",
    body: () => ({}),
    check: ({ more }, { model }) => void expect(more!["names"]).to.include(model),
    ...FREE,
  },
  {
    name: "one model, with / and : in its name",
    client: "openai",
    ask: "model",
    body: ({ model }) => ({ model }),
    sees: ({ model }) => ({ more: { id: model, object: "model", owned_by: "tollkeeper" } }),
    check: (_, { model }) => void expect(model).to.match(/\/.*:/),
    ...FREE,
  },
  {
    name: "a moderation",
    client: "openai",
    ask: "moderation",
    model: "moderation",
    body: ({ model, id }) => ({ model, input: [`I hate tolls ${id}`, "I like tolls"] }),
    sees: () => ({ more: { flagged: [true, false], hate: [true, false] } }),
    costs: "0.5",
  },
  {
    name: "documents ranked again, through the client's own way to any path",
    client: "openai",
    ask: "rerank",
    body: ({ model, ask }) => ({
      model,
      query: ask("[[usage:1500,0]]"),
      documents: ["A cat sleeps.", "How much the toll is, is told at the gate.", "The gate is open."],
      top_n: 2,
    }),
    sees: () => ({ usage: { prompt_tokens: 1_500 }, more: { order: [1, 2] } }),
    costs: "45",
  },
  {
    name: "pictures from words, charged by the picture",
    client: "openai",
    ask: "image",
    model: "pictures",
    body: ({ model, ask }) => ({ model, prompt: ask(), n: 2, size: "256x256" }),
    sees: () => ({ more: { heads: ["PNG", "PNG"] } }),
    costs: "4",
  },
  {
    name: "a picture from words as a stream",
    client: "openai",
    ask: "imageStream",
    model: "pictures",
    body: ({ model, ask }) => ({ model, prompt: ask(), size: "256x256", partial_images: 2 }),
    sees: () => ({ events: ["image_generation.partial_image", "image_generation.completed"], more: { heads: ["PNG", "PNG", "PNG"] } }),
    costs: "2",
  },
  {
    name: "a picture from a picture",
    client: "openai",
    ask: "imageEdit",
    model: "pictures",
    body: ({ model, ask }) => ({ model, prompt: ask(), image: PIXEL, size: "256x256" }),
    sees: () => ({ more: { heads: ["PNG"] } }),
    costs: "2",
  },
  {
    name: "speech, charged by the character",
    client: "openai",
    ask: "speech",
    model: "speech",
    body: ({ model, id }) => ({ model, input: `Toll 🚧! ${id}`, voice: "alloy", response_format: "wav" }),
    sees: () => ({ more: { type: "audio/wav", head: "RIFF" } }),
    // 16 characters at 15 a second, 24 000 samples of 2 bytes, and the header.
    check: ({ more }) => void expect(more!["bytes"]).to.be.within(44 + 48_000, 44 + 56_000),
    costs: "0.16",
  },
  {
    name: "a transcription, charged by the second",
    client: "openai",
    ask: "transcription",
    model: "whisper",
    body: ({ model, ask }) => ({ model, file: sound, prompt: ask() }),
    sees: () => ({ usage: { type: "duration", seconds: 13 } }),
    check: ({ text }) => void expect(text).to.not.equal(""),
    costs: "1.3",
  },
  {
    name: "a transcription as a stream, charged by tokens",
    client: "openai",
    ask: "transcriptionStream",
    body: ({ model, ask }) => ({ model, file: sound, prompt: ask("[[usage:1500,800]]") }),
    sees: () => ({ usage: { input_tokens: 1_500, output_tokens: 800 } }),
    check({ text, more }) {
      expect(text).to.not.equal("");
      expect(more!["told"]).to.equal(text);
    },
  },
  {
    name: "a translation",
    client: "openai",
    ask: "translation",
    model: "whisper",
    body: ({ model, ask }) => ({ model, file: sound, prompt: ask() }),
    check: ({ text }) => void expect(text).to.not.equal(""),
    costs: "1.3",
  },
];
