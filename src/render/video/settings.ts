import { z } from "zod";
import { SceneRefused } from "../engines/engine.ts";

/** How films are written: what ffmpeg is told, by codec. */
export const CODECS = {
  h264: { arguments: ["-c:v", "libx264", "-preset", "medium", "-crf", "18"], format: "mp4", contentType: "video/mp4" },
  vp9: { arguments: ["-c:v", "libvpx-vp9", "-crf", "24", "-b:v", "0", "-row-mt", "1"], format: "webm", contentType: "video/webm" },
} as const;

const schema = z.strictObject({
  /** Frames a second. */
  fps: z.number().min(1).max(240).default(24),
  codec: z.enum(["h264", "vp9"]).default("h264"),
});

/** How the frames of a task become a film. */
export type VideoSettings = z.output<typeof schema>;

type Settings = Readonly<Record<string, unknown>>;

/** Tells what is asked of the film, if one is, from the engine's own settings. Throws {@link SceneRefused} naming what is wrong. */
export function splitSettings(settings: Settings): { own: Settings; video: VideoSettings | undefined } {
  const { video, ...own } = settings;
  if (video === undefined) return { own, video: undefined };
  const read = schema.safeParse(video);
  if (read.success) return { own, video: read.data };
  const [issue] = read.error.issues;
  throw new SceneRefused(issue?.message ?? "is not valid", ["settings.video", ...(issue?.path ?? [])].join("."));
}
