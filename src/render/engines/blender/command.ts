import type { Places } from "../../process/command.ts";

/** Exit code of our scripts when Python fails, as we tell Blender. */
const PYTHON_FAILED = 9;
const SAFELY = ["--background", "--factory-startup", "--disable-autoexec", "-noaudio"];

/**
 * Arguments of Blender for one of our scripts on a scene. It reads them in order: what makes it safe comes before the file is opened, what
 * works on the scene behind it, and after `--` come words that are the script's own.
 */
export const blenderArguments =
  (threads: number, words: (work: string) => readonly string[]) =>
  ({ work, given }: Places): string[] => [
    ...SAFELY,
    "--threads",
    String(threads),
    "--python-exit-code",
    String(PYTHON_FAILED),
    given["scene"]!,
    "--python",
    given["script"]!,
    "--",
    ...words(work),
  ];

/** "Blender 3.4.1" → "3.4.1", of what `blender --version` prints. */
export const versionOf = (lines: readonly string[]): string | undefined =>
  lines.map((line) => /^Blender (\d+\.\d+(?:\.\d+)?)/.exec(line)?.[1]).find(Boolean);
