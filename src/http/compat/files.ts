import type { z } from "zod";
import { appError } from "../../platform/errors.ts";
import type { Route } from "../route.ts";
import { aliasOf, type Difference, type Own } from "./alias.ts";

/** Finishes an upload whose bytes have arrived; does nothing where there is nothing to finish. */
export type FinishUpload = (ownerId: string, fileId: string) => Promise<void>;

/**
 * Files. The old client knows no step between sending the bytes and using them: an upload is finished when it is first asked for.
 */
export function oldFileRoutes(own: Own, finishUpload: FinishUpload): Route[] {
  const finished: Pick<Difference, "run"> = {
    async run({ principal, params }, go) {
      await finishUpload(principal!.userId, (params as { id: string }).id);
      return go();
    },
  };
  const begin = own.of("post /api/files/uploads");
  return [
    aliasOf(begin, {
      path: "files/upload-url",
      description: "PUT the bytes to `upload_url` with `headers`, or each part to its URL. The file is checked when it is first asked for.",
      body: (begin.body as z.ZodObject).extend({ kind: (begin.body as z.ZodObject).shape["kind"]!.default("scene") }).strip(),
    }),
    aliasOf(own.of("get /api/files/:id"), { path: "files/:id", ...finished }),
    aliasOf(own.of("get /api/files/:id/exists"), {
      path: "files/:id/exists",
      description: "HEAD answers 404 when the bytes are not there.",
      ...finished,
      toData: (data, { req }) => {
        if (req.method === "HEAD" && !(data as { exists: boolean }).exists) throw appError("not_found");
        return data;
      },
    }),
    aliasOf(own.of("get /api/files/:id/download"), { path: "files/:id/download-url", ...finished }),
    aliasOf(own.of("delete /api/files/:id"), { path: "files/:id" }),
  ];
}
