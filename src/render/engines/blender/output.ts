import type { LogLevel } from "../engine.ts";

/** What a line that Blender printed says. */
export type Said =
  | { kind: "progress"; fraction: number }
  | { kind: "line"; level: LogLevel; text: string }
  /** Our own script gave up, with a reason for the owner. */
  | { kind: "failed"; reason: string }
  | { kind: "nothing" };

const PROGRESS = /^Fra: ?-?\d+ /;
/** Cycles: "Sample 3/16", with "Rendered 1/4 Tiles, " before it where a picture is made of tiles. */
const CYCLES = /(?:Rendered (\d+)\/(\d+) Tiles, )?\bSample (\d+)\/(\d+)/;
/** Eevee: "Rendering  12 / 64 samples". */
const EEVEE = /\bRendering +(\d+) \/ (\d+) samples/;
/** Of no use to anybody. */
const IDLE =
  /^(Blender \d|Blender quit|Read blend: |Saved: | ?Time: |Info: |could not get a list of mounted file-systems|Color management: |Device with name )/;

/** Reads one line of Blender 2.8 and later. */
export function readLine(line: string): Said {
  if (PROGRESS.test(line)) {
    const fraction = fractionOf(line);
    return fraction === undefined ? { kind: "nothing" } : { kind: "progress", fraction };
  }
  const failed = /^Failed: (.+)$/.exec(line)?.[1];
  if (failed !== undefined) return { kind: "failed", reason: failed };
  if (!line.trim() || IDLE.test(line)) return { kind: "nothing" };
  return { kind: "line", level: levelOf(line), text: line.trim() };
}

function levelOf(line: string): LogLevel {
  if (/^(Error|.*Error:)/.test(line)) return "error";
  return /^(Warning|scripts disabled|.*restricted access)/i.test(line) ? "warn" : "info";
}

function fractionOf(line: string): number | undefined {
  const cycles = CYCLES.exec(line);
  if (cycles) {
    const [tile = 0, tiles = 1, sample, samples] = cycles.slice(1).map((text) => (text === undefined ? undefined : Number(text)));
    return bounded((tile + sample! / samples!) / tiles);
  }
  const eevee = EEVEE.exec(line);
  if (eevee) return bounded(Number(eevee[1]) / Number(eevee[2]));
  return line.endsWith("| Finished") ? 1 : undefined;
}

const bounded = (fraction: number): number | undefined => (Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : undefined);
