import type { Places } from "../../process/command.ts";
import type { Format } from "../picture.ts";
import type { MayaSettings } from "./settings.ts";

/** Where a frame's picture goes, in the folder of its run; Maya chooses the name. */
export const PICTURES = "pictures";

/** A frame as Maya's `Render` is asked for it. */
export interface MayaFrame {
  frame: number;
  width: number;
  height: number;
  samples: number;
  format: Format;
  threads: number;
  settings: MayaSettings;
}

/** Environment without what Maya would start, ask or report beside rendering. */
export const MAYA_ENVIRONMENT = { MAYA_SKIP_USERSETUP_PY: "1", MAYA_DISABLE_CIP: "1", MAYA_DISABLE_CER: "1" };

/**
 * Arguments of `Render` for one frame; see "Render -help" and "Render -r arnold -help". The scene is the last one. Arnold counts samples of
 * one side of a pixel: 4 are 16 of ours.
 */
export const mayaArguments =
  ({ frame, width, height, samples, format, threads, settings }: MayaFrame) =>
  ({ work, given }: Places): string[] => {
    const arnold = settings.renderer === "arnold";
    const options: Record<string, string | number> = {
      "-r": settings.renderer,
      "-s": frame,
      "-e": frame,
      "-b": 1,
      "-x": width,
      "-y": height,
      "-rd": `${work}/${PICTURES}`,
      "-im": "picture",
      "-of": arnold || format !== "jpeg" ? format : "jpg",
      "-proj": work,
      ...(settings.camera ? { "-cam": settings.camera } : {}),
      ...(arnold ? { "-ai:as": Math.max(1, Math.ceil(Math.sqrt(samples))), "-ai:threads": threads, "-ai:lve": 2 } : {}),
    };
    return [...Object.entries(options).flatMap(([name, value]) => [name, String(value)]), given["scene"]!];
  };

/** "Maya 2024, Cut Number 202302170737" or a path with maya2024 → "2024", of what `Render -v` prints or of where it lies. */
export const versionOf = (texts: readonly string[]): string | undefined =>
  texts.map((text) => /\bmaya[ /]?(20\d\d(?:\.\d+)*)/i.exec(text)?.[1]).find(Boolean);
