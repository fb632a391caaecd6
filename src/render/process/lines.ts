import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

const LONGEST = 2_000;
/** Lines are handed on up to this many; a program may print without end. */
const MOST = 1_000_000;

/**
 * Hands on what a program prints, line by line, in bounded memory: long lines are cut, too many are read and dropped, control characters
 * are blanks. A carriage return ends a line too: progress is printed so.
 */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  let count = 0;

  function hand(line: string): void {
    count += 1;
    const clean = line
      .slice(0, LONGEST)
      .replace(/\p{Cc}/gu, " ")
      .trimEnd();
    if (count <= MOST && clean) onLine(clean);
  }

  stream.on("data", (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split(/\r\n|\n|\r/);
    rest = (lines.pop() ?? "").slice(0, LONGEST);
    for (const line of lines) hand(line);
  });
  stream.on("end", () => hand(rest));
  // A pipe that breaks with its program is no news.
  stream.on("error", () => undefined);
}
