import type { Places } from "../process/command.ts";
import { CODECS, type VideoSettings } from "./settings.ts";

/** A film to be made of pictures that lie in one folder, numbered from 1: 000001.png and so on. */
export interface Film {
  video: VideoSettings;
  /** Their format, as a file's ending. */
  format: string;
  threads: number;
}

/** How a picture is called; frames may begin anywhere and leave numbers out. */
export const pictureName = (place: number, format: string): string => `${String(place + 1).padStart(6, "0")}.${format}`;

/** Decoders by a picture's ending: said, so that what a file claims to be decides nothing. */
const DECODERS: Readonly<Record<string, string>> = { png: "png", jpeg: "mjpeg", webp: "webp", exr: "exr" };
/** EXR is linear light; films are not. */
const LINEAR = ["-apply_trc", "iec61966_2_1"];

/** Arguments of ffmpeg. Sizes that are odd get one more row or column, as the codecs want it. The same pictures make the same film. */
export const filmArguments =
  ({ video, format, threads }: Film) =>
  ({ work, given }: Places): string[] => {
    const codec = CODECS[video.codec];
    const words = (line: string): string[] => line.split(" ");
    return [
      ...words("-hide_banner -nostdin -loglevel error -progress pipe:1 -protocol_whitelist file,pipe"),
      ...words(`-f image2 -framerate ${video.fps} -start_number 1`),
      ...(DECODERS[format] ? ["-c:v", DECODERS[format]] : []),
      ...(format === "exr" ? LINEAR : []),
      "-i",
      `${given["frames"]}/%06d.${format}`,
      ...words("-vf pad=ceil(iw/2)*2:ceil(ih/2)*2 -an"),
      ...codec.arguments,
      ...words(`-pix_fmt yuv420p -threads ${threads} -map_metadata -1 -fflags +bitexact -flags:v +bitexact`),
      ...(codec.format === "mp4" ? words("-movflags +faststart") : []),
      ...words(`-f ${codec.format} -y ${work}/film`),
    ];
  };

/** Pictures that are done, of a line that ffmpeg prints for `-progress`; undefined for others. */
export function doneOf(line: string): number | undefined {
  const digits = /^frame=\s*(\d+)$/.exec(line)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Whether a line belongs to `-progress`: pairs of a name and a value. */
export const isProgress = (line: string): boolean => /^[a-z0-9_]+=\s*\S*\s*$/.test(line);

/** "ffmpeg version 5.1.9-0+deb12u1 Copyright…" → "5.1.9-0+deb12u1". */
export const versionOf = (lines: readonly string[]): string | undefined =>
  lines.map((line) => /^ffmpeg version (\S+)/.exec(line)?.[1]).find(Boolean);
