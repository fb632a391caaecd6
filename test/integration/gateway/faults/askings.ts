import type { AnswerKind, Format, Speaks } from "../../../../src/gateway/pipeline/format.ts";
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
  /** Whether a stream begins with something that is no content yet. */
  greets: boolean;
  title: string;
}

type Facts = Pick<Asking, "full" | "counts" | "words" | "greets">;

/** At 30 and 60 credits per 1000: 1500 tokens in and 800 out. */
const FULL = 93_000_000n;
/** The same without output. */
const INPUT_ONLY = 45_000_000n;

const USUAL: Facts = { full: FULL, counts: true, words: true, greets: true };

/** What is otherwise on some routes. */
const FACTS: Record<string, Partial<Facts>> = {
  "/v1/embeddings": { full: INPUT_ONLY, words: false },
  "/v1/completions": { greets: false },
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

/** Every route with every kind of answer it has, for everything a provider may speak there: from the gateway's own list of formats. */
export function askings(formats: readonly Format[] = FORMATS): Asking[] {
  return formats.flatMap((format) =>
    format.speaks.flatMap((speaks) =>
      samplesOf(format).map((sample) => {
        const answer = KINDS[sample.answers];
        const title = `${format.route} (${sample.answers}) at a provider of ${speaks}`;
        return { format, answer, speaks, sample, ...USUAL, ...FACTS[format.route], title };
      }),
    ),
  );
}
