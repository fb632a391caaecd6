import { countsOf, sum, usageField, type Counts } from "../content/counts.ts";
import { planContent } from "../content/plan.ts";
import { refuse, type Answer, type Asked, type Endpoint, type OutEvent } from "../endpoint.ts";
import { overloadedEvent } from "../overloaded.ts";
import { openai } from "../vendors.ts";
import { secondsOf } from "./sound.ts";
import { segmentsOf, srt, verboseSegments, vtt } from "./transcripts.ts";

const AUDIO_TOKENS_A_SECOND = 10;

interface Heard {
  words: string[];
  seconds: number;
  counts: Counts | "none" | "shape";
  /** whisper counts time, later models count tokens. */
  byTime: boolean;
  task: "transcribe" | "translate";
}

function hear({ body, files, directives }: Asked, task: Heard["task"]): Heard {
  const file = files.find(({ field }) => field === "file") ?? refuse("Missing required parameter: 'file'.", "file");
  if (file.bytes.length === 0) refuse("Audio file might be corrupted or unsupported", "file", "invalid_value");
  const seconds = directives.seconds ?? secondsOf(file.bytes);
  const content = planContent({ text: `${file.name} ${String(body["prompt"] ?? "")}`, directives });
  const counts = countsOf(directives, () => ({
    prompt: Math.ceil(seconds * AUDIO_TOKENS_A_SECOND),
    completion: content.tokens.completion,
  }));
  return { words: content.pieces, seconds, counts, byTime: String(body["model"]).startsWith("whisper"), task };
}

const tokens = ({ prompt, completion }: Counts): object => ({
  type: "tokens",
  input_tokens: prompt,
  input_token_details: { text_tokens: 0, audio_tokens: prompt },
  output_tokens: completion,
  total_tokens: sum(prompt, completion),
});

function usageOf({ counts, byTime, seconds }: Heard): { usage?: unknown } {
  return usageField(counts, (shown) => (byTime ? { type: "duration", seconds: Math.ceil(seconds) } : tokens(shown)));
}

function whole(heard: Heard, format: string): Answer {
  const { words, seconds, byTime, task } = heard;
  const text = words.join("");
  const segments = segmentsOf(words, seconds);
  const steps = words.length;
  if (!byTime && !["json", "text"].includes(format))
    refuse(`response_format '${format}' is not compatible with this model.`, "response_format");
  switch (format) {
    case "json":
      return { kind: "whole", body: { text, ...(task === "transcribe" ? usageOf(heard) : {}) }, steps };
    case "text":
      return { kind: "whole", body: `${text}\n`, contentType: "text/plain; charset=utf-8", steps };
    case "srt":
      return { kind: "whole", body: srt(segments), contentType: "text/plain; charset=utf-8", steps };
    case "vtt":
      return { kind: "whole", body: vtt(segments), contentType: "text/plain; charset=utf-8", steps };
    case "verbose_json": {
      const about = { task, language: "english", duration: seconds, text, segments: verboseSegments(segments) };
      return { kind: "whole", body: { ...about, ...(task === "transcribe" ? usageOf(heard) : {}) }, steps };
    }
    default:
      return refuse("Invalid value for 'response_format'.", "response_format");
  }
}

function streamed(heard: Heard): Answer {
  function* events(): Generator<OutEvent> {
    for (const delta of heard.words) yield { data: JSON.stringify({ type: "transcript.text.delta", delta }), content: true };
    yield { data: JSON.stringify({ type: "transcript.text.done", text: heard.words.join(""), ...usageOf(heard) }), terminal: true };
  }
  return { kind: "events", events: events(), error: overloadedEvent };
}

const prompt = (body: Record<string, unknown>): string => String(body["prompt"] ?? "");

/** What was said, in its own language: https://platform.openai.com/docs/api-reference/audio */
export const transcriptions: Endpoint = {
  method: "POST",
  path: /^\/v1\/audio\/transcriptions$/,
  vendor: openai,
  prompt,
  answer(asked) {
    const heard = hear(asked, "transcribe");
    // whisper-1 takes the wish for a stream and does not follow it.
    if (asked.body["stream"] === "true" && !heard.byTime) return streamed(heard);
    return whole(heard, String(asked.body["response_format"] ?? "json"));
  },
};

/** What was said, in English; whisper alone does this, and counts nothing. */
export const translations: Endpoint = {
  method: "POST",
  path: /^\/v1\/audio\/translations$/,
  vendor: openai,
  prompt,
  answer: (asked) => whole({ ...hear(asked, "translate"), byTime: true }, String(asked.body["response_format"] ?? "json")),
};
