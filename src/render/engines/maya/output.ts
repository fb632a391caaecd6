import type { LogLevel } from "../engine.ts";

/** What a line that Maya's `Render` printed says. */
export type Said =
  | { kind: "progress"; fraction: number }
  | { kind: "line"; level: LogLevel; text: string }
  /** The render did not succeed, whatever the exit code. */
  | { kind: "failed"; reason: string }
  | { kind: "nothing" };

/** Arnold: "00:00:12   340MB         |    45% done - 12 rays/pixel"; time, memory, then what is said. */
const ARNOLD = /^\d\d:\d\d:\d\d\s+\d+MB\s*(WARNING|ERROR)?\s*\|\s?(.*)$/;
const ARNOLD_DONE = /^\s*(\d+(?:\.\d+)?)% done/;
/** Maya's own renderer: "Percentage of rendering done: 45 (/work/pictures/picture.png)". */
const SOFTWARE = /Percentage of rendering done: (\d+(?:\.\d+)?)/;
/** "// Maya exited with status 211", "Scene /given/scene.ma failed with error code 1." */
const ENDED_BADLY = /^(?:\/\/ )?(Maya exited with status [1-9]\d*|Scene .* failed.*)$/;
const LICENCE = /(license|licence).*(fail|not (available|found)|error|denied)|watermark/i;

/** Reads one line of Maya 2018 and later. */
export function readLine(line: string): Said {
  const arnold = ARNOLD.exec(line);
  const text = (arnold?.[2] ?? line).trim();
  const percent = arnold ? ARNOLD_DONE.exec(arnold[2]!)?.[1] : SOFTWARE.exec(line)?.[1];
  if (percent !== undefined) return { kind: "progress", fraction: Math.min(1, Number(percent) / 100) };
  const bad = ENDED_BADLY.exec(text)?.[1];
  if (bad !== undefined) return { kind: "failed", reason: bad.replace(/\/\S+\//g, "").replace(/\.$/, "") };
  // A picture with a watermark is not what was asked for.
  if (LICENCE.test(text)) return { kind: "failed", reason: `no licence: ${text}` };
  if (arnold?.[1] === "ERROR" || /^(Error|Fatal Error)\b/.test(text)) return { kind: "line", level: "error", text };
  if (arnold?.[1] === "WARNING" || /^Warning\b/.test(text)) return { kind: "line", level: "warn", text };
  return { kind: "nothing" };
}
