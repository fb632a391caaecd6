import { mp4Tracks } from "./mp4.ts";
import { webmSeconds } from "./webm.ts";

/** A video of a format that is not known: 64 kbit/s is hardly watchable. */
const UNKNOWN_BYTES_A_SECOND = 8_000;

/** How long a video is, in seconds, by the times of its pictures; by its size where those cannot be read. */
export function videoSeconds(data: Buffer): number {
  const tracks = mp4Tracks(data).filter(({ kind }) => kind === "vide");
  const seconds = tracks.length > 0 ? Math.max(...tracks.map(({ claimed, timed }) => Math.max(claimed, timed))) : webmSeconds(data);
  return seconds || data.length / UNKNOWN_BYTES_A_SECOND;
}
