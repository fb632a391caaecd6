import { uuidv7 } from "../platform/ids.ts";
import type { Storage, Upload } from "../platform/storage/index.ts";
import { keyName } from "./names.ts";
import { FILE_KINDS, UPLOAD_KINDS, type FileKind, type FileRecord } from "./types.ts";

/** Where objects are: `users/<owner>/<kind>/<uuid>/<name>`. The server chooses it; the uuid is the file's id. */

export const ROOT = "users/";

export function newPlace(ownerId: string, kind: FileKind, name: string): { id: string; objectKey: string } {
  const id = uuidv7();
  return { id, objectKey: `${ROOT}${ownerId}/${kind}/${id}/${keyName(name)}` };
}

const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const LAYOUT = new RegExp(`^${ROOT}${UUID}/(${FILE_KINDS.join("|")})/${UUID}/[^/]+$`);

/** True for keys that only this program makes. */
export const isOurKey = (key: string): boolean => LAYOUT.test(key);

/** The uploads that a file may have left open. One that nobody could note, because the process died, is found by its key. */
export async function uploadsToEnd(uploads: Storage["uploads"], file: FileRecord): Promise<Upload[]> {
  if (file.uploadId !== null) return [{ key: file.objectKey, uploadId: file.uploadId }];
  if (file.etag !== null || !(UPLOAD_KINDS as readonly string[]).includes(file.kind)) return [];
  return (await uploads.unfinished(file.objectKey)).filter(({ key }) => key === file.objectKey);
}
