import type { ModelOptions } from "../harness.ts";
import type { AnswerKind, Dialect, Format, ReadResult, Speaks } from "../../../../src/gateway/pipeline/format.ts";
import { FORMATS } from "../../../../src/gateway/formats/index.ts";
import { SAMPLES, type Sample } from "../../../support/samples.ts";

/** One way to call the gateway: a route, the kind of answer, and what the provider behind it speaks. */
export interface Asking {
  format: Format;
  answer: AnswerKind;
  speaks: Speaks;
  sample: Sample;
  /** Credits for what the provider counts when it is told to count 1500 and 800. */
  full: bigint;
  /** Whether the provider counts at all there; if not, every answer costs the same. */
  counts: boolean;
  /** Whether the answer is words. */
  words: boolean;
  /** Output tokens by rule where the answer is no words and nobody says its usage. */
  rule: number;
  /** Pictures in the prompt. */
  pictures: number;
  /** Prices, where it is not tokens that are priced. */
  prices: ModelOptions | undefined;
  /** Whether a stream begins with something that is no content yet. */
  greets: boolean;
  /** The provider is asked for a stream, of which the whole answer is made. */
  gathered: boolean;
  /** The gateway answers by itself. */
  local: boolean;
  title: string;
}

type Facts = Pick<Asking, "full" | "counts" | "words" | "rule" | "pictures" | "prices" | "greets">;

/** At 30 and 60 credits per 1000: 1500 tokens in and 800 out. */
const FULL = 93_000_000n;
/** The same without output. */
const INPUT_ONLY = 45_000_000n;

const USUAL: Facts = { full: FULL, counts: true, words: true, rule: 0, pictures: 0, prices: undefined, greets: true };
const CREDIT = 1_000_000n;
const TOKENS_ARE_FREE = { input: "0", output: "0" };
/** Priced by something else than tokens, so that nothing is estimated. */
const priced = (column: string, full: bigint): Partial<Facts> => ({
  counts: false,
  full,
  prices: { ...TOKENS_ARE_FREE, prices: { [column]: "1" } },
  greets: false,
});
/** The vendor's figure for 256 by 256 pixels of high quality, and 100 for each preview. */
const PICTURE = 260;
const PREVIEWS = 200;

/** What is otherwise on some routes, or for one kind of answer there. */
const FACTS: Record<string, Partial<Facts>> = {
  "/v1/embeddings": { full: INPUT_ONLY, words: false },
  "/v1/completions": { greets: false },
  "/v1/moderations": { ...priced("request_price", CREDIT), words: false },
  "/v1/rerank": { full: INPUT_ONLY, words: false },
  "/v1/images/generations": { words: false, greets: false, rule: PICTURE },
  "/v1/images/generations events": { rule: PICTURE + PREVIEWS },
  "/v1/images/edits": { words: false, greets: false, rule: PICTURE, pictures: 1 },
  "/v1/images/edits events": { rule: PICTURE + PREVIEWS },
  "/v1/audio/speech bytes": { ...priced("character_price", 46n * CREDIT), words: false },
  "/v1/audio/speech events": { words: false, greets: false, rule: 51 },
  "/v1/audio/transcriptions": { greets: false },
  "/v1/audio/transcriptions text": priced("second_price", CREDIT),
  "/v1/audio/translations": priced("second_price", CREDIT),
  "/dify/v1/chat-messages": { greets: false },
  "/dify/v1/completion-messages": { greets: false },
  // A total alone, half of which is priced as input.
  "/dify/v1/workflows/run": { greets: false, full: 103_500_000n },
  "/dify/v1/text-to-audio": { ...priced("character_price", 46n * CREDIT), words: false },
  "/dify/v1/audio-to-text": { ...priced("second_price", CREDIT), words: false },
  "/v1/messages/count_tokens": { full: 0n, counts: false, words: false },
};

/** Paths of older clients: the sample of the route they are another name for. */
const ALIASES: Record<string, string> = { "/chat/completions": "/v1/chat/completions" };

const KINDS: Record<Sample["answers"], AnswerKind> = { events: "stream", json: "whole", text: "whole", bytes: "bytes" };

/** The samples of a format. One that says nothing of a stream is asked for a whole answer in so many words. */
export function samplesOf({ route }: Pick<Format, "route">): Sample[] {
  const path = ALIASES[route] ?? route;
  return SAMPLES.filter((sample) => sample.path === path).map((sample) => {
    const explicit = ALIASES[route] !== undefined && sample.answers === "json" ? { stream: false } : {};
    return { ...sample, path: route, body: { ...sample.body, ...explicit } };
  });
}

/** What a format makes of a sample; a form as the pipeline hands it on. */
export async function readSample(format: Format, { body, file }: Pick<Sample, "body" | "file">): Promise<ReadResult> {
  if (!file) return format.read(body, {});
  const { bytes, ...about } = file;
  const fields = Object.entries(body).map(([name, value]) => [name, String(value)]);
  return format.read({ fields, files: [{ ...about, data: bytes }] }, { "content-type": "multipart/form-data; boundary=x" });
}

function dialectOf(format: Format, { body, file }: Sample, speaks: Speaks): Dialect | undefined {
  const read = file ? undefined : format.read(body, {});
  const dialect = read && "ok" in read && read.ok ? read.request.dialect(speaks) : undefined;
  return dialect && "code" in dialect ? undefined : dialect;
}

/** Those of {@link askings} that ask a provider at all. */
export const relayed = (): Asking[] => askings().filter((asking) => !asking.local);

/** Every route with every kind of answer it has, for everything a provider may speak there: from the gateway's own list of formats. */
export function askings(formats: readonly Format[] = FORMATS): Asking[] {
  return formats.flatMap((format) =>
    format.speaks.flatMap((speaks) =>
      samplesOf(format).map((sample) => {
        const answer = KINDS[sample.answers];
        const title = `${format.route} (${sample.answers}) at a provider of ${speaks}`;
        const facts = { ...USUAL, ...FACTS[format.route], ...FACTS[`${format.route} ${sample.answers}`] };
        const dialect = dialectOf(format, sample, speaks);
        return {
          format,
          answer,
          speaks,
          sample,
          ...facts,
          gathered: dialect?.gathers === true,
          local: dialect?.local !== undefined,
          title,
        };
      }),
    ),
  );
}
