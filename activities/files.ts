import { Context } from "@temporalio/activity";
import type { Files, FileState, Swept } from "../src/files/index.ts";
import { beating } from "./beating.ts";

/** What the activities of files need. */
export type FileServices = Pick<Files, "check" | "sweep">;

/** Files as activities; idempotent and safe to run twice at once. */
export function createFileActivities({ check, sweep }: FileServices) {
  return {
    /** Ends what took too long, removes what was deleted, finds what belongs to nobody. */
    sweepFiles: (): Promise<Swept> => beating((beat) => sweep(beat)),

    /** Reads a file and compares its sha256; the state it has then, null when it is gone. */
    checkFile: (fileId: string): Promise<FileState | null> =>
      beating(async (beat) => (await check(fileId, beat, Context.current().cancellationSignal)) ?? null),
  };
}

export type FileActivities = ReturnType<typeof createFileActivities>;
