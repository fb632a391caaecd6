import { countsOf, usageField } from "../content/counts.ts";
import { wordsOf } from "../content/plan.ts";
import { hash, seeded } from "../content/text.ts";
import { tokensOf } from "../content/tokens.ts";
import { refuse, type Endpoint } from "../endpoint.ts";
import { openai } from "../vendors.ts";

const MOST_INPUTS = 2_048;
const MOST_TOKENS_EACH = 8_192;
const MOST_TOKENS = 300_000;

type Input = string | number[];

/** The inputs of a request: a text, texts, the tokens of one, or of several. */
function inputsOf(input: unknown): Input[] {
  if (typeof input === "string") return [input];
  if (!Array.isArray(input) || input.length === 0) return refuse("'$.input' is invalid.", "input");
  if (input.every((one) => typeof one === "number")) return [input as number[]];
  const each = (one: unknown): boolean => (Array.isArray(one) ? one.every((token) => Number.isInteger(token)) : typeof one === "string");
  if (!input.every(each)) return refuse("'$.input' is invalid.", "input");
  return input as Input[];
}

function countInputs(inputs: Input[]): number {
  if (inputs.length > MOST_INPUTS) refuse(`'input' array must be ${MOST_INPUTS} items or less.`, "input");
  if (inputs.some((input) => input.length === 0)) refuse("'input' cannot be an empty string.", "input");
  const counts = inputs.map((input) => (typeof input === "string" ? tokensOf(input) : input.length));
  const large = counts.find((count) => count > MOST_TOKENS_EACH);
  if (large !== undefined)
    refuse(`This model's maximum context length is ${MOST_TOKENS_EACH} tokens, however you requested ${large} tokens.`, "input");
  const total = counts.reduce((a, b) => a + b, 0);
  if (total > MOST_TOKENS) refuse(`Requested ${total} tokens, max ${MOST_TOKENS} tokens per request`, "input", "max_tokens_per_request");
  return total;
}

function dimensionsOf(model: string, wanted: unknown): number {
  const most = model.includes("large") ? 3_072 : 1_536;
  if (wanted === undefined || wanted === null) return most;
  if (!Number.isInteger(wanted) || (wanted as number) < 1 || (wanted as number) > most)
    refuse("Invalid value for 'dimensions'.", "dimensions");
  return wanted as number;
}

/** A vector of length 1 that is the same for the same input. */
function vectorOf(input: Input, dimensions: number): Float32Array {
  const random = seeded(hash(typeof input === "string" ? input : input.join(" ")));
  const raw = Float32Array.from({ length: dimensions }, () => random() - 0.5);
  const length = Math.hypot(...raw);
  return raw.map((value) => value / length);
}

const base64Of = (vector: Float32Array): string => Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");

/** OpenAI's embeddings: https://platform.openai.com/docs/api-reference/embeddings */
export const embeddings: Endpoint = {
  method: "POST",
  path: /^\/v1\/embeddings$/,
  vendor: openai,
  prompt: ({ input }) => wordsOf(input).join(" "),
  answer({ body, directives }) {
    if (typeof body["model"] !== "string") refuse("you must provide a model parameter");
    const format = body["encoding_format"] ?? "float";
    if (format !== "float" && format !== "base64") refuse("Invalid value for 'encoding_format'.", "encoding_format");
    const inputs = inputsOf(body["input"]);
    const tokens = countInputs(inputs);
    const dimensions = dimensionsOf(body["model"], body["dimensions"]);
    const data = inputs.map((input, index) => {
      const vector = vectorOf(input, dimensions);
      return { object: "embedding", index, embedding: format === "base64" ? base64Of(vector) : [...vector] };
    });
    const usage = usageField(
      countsOf(directives, () => ({ prompt: tokens, completion: 0 })),
      (counts) => ({ prompt_tokens: counts.prompt, total_tokens: counts.prompt }),
    );
    return { kind: "whole", body: { object: "list", data, model: body["model"], ...usage } };
  },
};
