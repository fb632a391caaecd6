import { countsOf, sum, usageField } from "../content/counts.ts";
import { tokensOf } from "../content/tokens.ts";
import { stripDirectives } from "../control/directives.ts";
import { refuse, type Asked, type Endpoint, type OutEvent } from "../endpoint.ts";
import { overloadedEvent } from "../overloaded.ts";
import { openai } from "../vendors.ts";
import { FORMATS } from "./sound.ts";

const MOST_CHARACTERS = 4_096;
const CHARACTERS_A_SECOND = 15;
const TOKENS_A_SECOND = 20;
const PART_BYTES = 8_192;

function partsOf(sound: Buffer, count: number | undefined): Buffer[] {
  const size = count === undefined ? PART_BYTES : Math.ceil(sound.length / Math.max(count, 1));
  return Array.from({ length: Math.ceil(sound.length / size) }, (_, i) => sound.subarray(i * size, (i + 1) * size));
}

function check({ model, input, voice, stream_format: stream }: Record<string, unknown>): void {
  if (typeof model !== "string") refuse("you must provide a model parameter");
  if (typeof input !== "string" || input === "") refuse("Missing required parameter: 'input'.", "input");
  if ([...input].length > MOST_CHARACTERS) refuse(`Input should be at most ${MOST_CHARACTERS} characters.`, "input", "string_too_long");
  if (voice === undefined) refuse("Missing required parameter: 'voice'.", "voice");
  if (stream === "sse" && model.startsWith("tts-1")) refuse("stream_format 'sse' is not supported for this model.", "stream_format");
}

/** Speech: a body of sound that comes in parts, or events. https://platform.openai.com/docs/api-reference/audio */
export const speech: Endpoint = {
  method: "POST",
  path: /^\/v1\/audio\/speech$/,
  vendor: openai,
  prompt: (body) => String(body["input"] ?? ""),
  answer({ body, directives }: Asked) {
    check(body);
    const format = FORMATS[String(body["response_format"] ?? "mp3")] ?? refuse("Invalid value for 'response_format'.", "response_format");
    const words = stripDirectives(String(body["input"]));
    const seconds = words.length / CHARACTERS_A_SECOND / Number(body["speed"] ?? 1);
    const parts = partsOf(format.make(seconds), directives.chunks);
    if (body["stream_format"] !== "sse") return { kind: "bytes", contentType: format.type, parts };

    const counts = countsOf(directives, () => ({ prompt: tokensOf(words), completion: Math.ceil(seconds * TOKENS_A_SECOND) }));
    const usage = usageField(counts, ({ prompt, completion }) => ({
      input_tokens: prompt,
      output_tokens: completion,
      total_tokens: sum(prompt, completion),
    }));
    function* events(): Generator<OutEvent> {
      for (const part of parts)
        yield { data: JSON.stringify({ type: "speech.audio.delta", audio: part.toString("base64") }), content: true };
      yield { data: JSON.stringify({ type: "speech.audio.done", ...usage }), terminal: true };
    }
    return { kind: "events", events: events(), error: overloadedEvent };
  },
};
