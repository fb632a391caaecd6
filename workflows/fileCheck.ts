import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { FileActivities } from "../activities/files.ts";
import { CHECK_FILE } from "./timeouts.ts";

const { checkFile } = proxyActivities<FileActivities>(CHECK_FILE);

/** Reads a file whose sha256 the storage could not tell. Returns its state then, null when it is gone. */
export async function fileCheck(fileId: string): Promise<string | null> {
  const state = await checkFile(fileId);
  setCurrentDetails(state ?? "deleted");
  return state;
}
