import type { Files } from "../files/index.ts";
import type { Identity } from "../identity/index.ts";
import type { oldClientRoutes } from "../http/compat/index.ts";
import { AppError } from "../platform/errors.ts";

/** What other domains need of files, in their words. */

/** People's pictures. */
export const avatarsIn = (files: Pick<Files, "read" | "download">): Parameters<Identity["avatarRoutes"]>[0] => ({
  async avatar(ownerId, fileId) {
    const file = await files.read(ownerId, fileId);
    return file?.kind === "avatar" ? file : undefined;
  },
  urlOf: async (ownerId, fileId) => (await files.download(ownerId, fileId, "inline")).url,
});

/** Finishes an upload whose bytes are there. What cannot be finished stays as it is, and says so where it is asked for. */
export const finishUploadIn =
  (files: Pick<Files, "complete">): Parameters<typeof oldClientRoutes>[1]["finishUpload"] =>
  async (ownerId, fileId) => {
    try {
      await files.complete(ownerId, fileId);
    } catch (error) {
      if (!(error instanceof AppError) || error.status >= 500) throw error;
    }
  };
