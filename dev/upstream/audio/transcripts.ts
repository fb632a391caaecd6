/** A piece of what was said, with its time in seconds. */
export interface Segment {
  text: string;
  start: number;
  end: number;
}

/** Words spread evenly over a time, a few at once. */
export function segmentsOf(words: string[], seconds: number, each = 8): Segment[] {
  const groups = Array.from({ length: Math.ceil(words.length / each) }, (_, i) =>
    words
      .slice(i * each, (i + 1) * each)
      .join("")
      .trim(),
  );
  return groups.map((text, i) => ({ text, start: (seconds * i) / groups.length, end: (seconds * (i + 1)) / groups.length }));
}

/** "00:01:02,500": hours, minutes, seconds and milliseconds. */
function clock(seconds: number, point: string): string {
  return new Date(seconds * 1_000).toISOString().slice(11, 23).replace(".", point);
}

export function srt(segments: Segment[]): string {
  return segments.map(({ text, start, end }, i) => `${i + 1}\n${clock(start, ",")} --> ${clock(end, ",")}\n${text}\n\n`).join("");
}

export function vtt(segments: Segment[]): string {
  return `WEBVTT\n\n${segments.map(({ text, start, end }) => `${clock(start, ".")} --> ${clock(end, ".")}\n${text}\n\n`).join("")}`;
}

/** Segments as `verbose_json` has them. */
export function verboseSegments(segments: Segment[]): object[] {
  return segments.map((segment, id) => ({
    id,
    seek: 0,
    ...segment,
    tokens: [50_364, 50_365],
    temperature: 0,
    avg_logprob: -0.2,
    compression_ratio: 1.2,
    no_speech_prob: 0.01,
  }));
}
