import { accepted, created, ok, route, type Route } from "../http/route.ts";
import { appError } from "../platform/errors.ts";
import type { Files } from "./index.ts";
import {
  completeBody,
  downloadQuery,
  downloadView,
  existsView,
  filePage,
  fileParams,
  fileView,
  listQuery,
  openedView,
  uploadBody,
  uploadView,
  usageView,
} from "./schema.ts";
import { viewOfFile, viewOfUpload } from "./view.ts";

const COMMON = { tag: "Files", access: "user" } as const;

type Service = Omit<Files, "routes">;

/** What people do with their files. Anybody else's do not exist for them. */
export function fileRoutes(files: Service): Route[] {
  return [
    route({
      ...COMMON,
      method: "post",
      path: "/api/files/uploads",
      summary: "Begin an upload",
      description:
        "The bytes go to the storage itself: PUT the file to `upload_url` with `headers`, or each part to its URL, then complete. The storage " +
        "refuses other sizes and types than were declared, and bytes that do not have `sha256`.",
      body: uploadBody,
      responses: { 201: openedView },
      errors: ["email_not_verified", "payload_too_large", "unsupported_media_type", "storage_full"],
      handler: async ({ principal, body }) => {
        if (!principal.emailVerified) throw appError("email_not_verified");
        const { content_type: contentType, ...rest } = body;
        return created(viewOfUpload(await files.open(principal.userId, { ...rest, contentType })));
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/files/uploads/:id",
      summary: "Go on with an upload: what arrived, and new URLs for the rest",
      params: fileParams,
      responses: { 200: uploadView },
      handler: async ({ principal, params }) => {
        const upload = await files.resume(principal.userId, params.id);
        const uploaded = upload.uploaded.map(({ number, size, etag }) => ({ number, size, etag }));
        return ok({ ...viewOfUpload(upload), status: upload.file.state, uploaded });
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/files/:id/complete",
      summary: "Finish an upload",
      description:
        "Size, type and sha256 are compared with what was declared. 202 with status `checking` while a large file is still being read: ask for " +
        "it again. May be repeated.",
      params: fileParams,
      body: completeBody,
      responses: { 200: fileView, 202: fileView },
      errors: ["upload_incomplete", "upload_mismatch", "invalid_state"],
      handler: async ({ principal, params, body }) => {
        const file = await files.complete(principal.userId, params.id, body.parts);
        return file.state === "checking" ? accepted(viewOfFile(file)) : ok(viewOfFile(file));
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/files",
      summary: "My files, newest first",
      query: listQuery,
      responses: { 200: filePage },
      handler: async ({ principal, query: { page, page_size, kind, status, task_id: taskId } }) => {
        const { items, total } = await files.list(
          principal.userId,
          { kind, status, taskId },
          { limit: page_size, offset: (page - 1) * page_size },
        );
        return ok({ items: items.map(viewOfFile), total, page, page_size });
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/files/usage",
      summary: "What I store, and what I may",
      responses: { 200: usageView },
      handler: async ({ principal }) => ok(await files.usage(principal.userId)),
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/files/:id",
      summary: "About one file",
      params: fileParams,
      responses: { 200: fileView },
      handler: async ({ principal, params }) => ok(viewOfFile(await files.find(principal.userId, params.id))),
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/files/:id/exists",
      summary: "Whether the bytes of a file are in the storage",
      params: fileParams,
      responses: { 200: existsView },
      handler: async ({ principal, params }) => {
        const { exists, file } = await files.exists(principal.userId, params.id);
        return ok({ exists, status: file.state });
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/files/:id/download",
      summary: "A URL to download a file from",
      description: "It answers GET with the file's name and takes a Range header.",
      params: fileParams,
      query: downloadQuery,
      responses: { 200: downloadView },
      errors: ["invalid_state"],
      handler: async ({ principal, params, query }) => {
        const { url, expiresAt } = await files.download(principal.userId, params.id, query.disposition);
        return ok({ url, expires_at: expiresAt.toISOString() });
      },
    }),
    route({
      ...COMMON,
      method: "delete",
      path: "/api/files/:id",
      summary: "Delete a file, or give up its upload",
      params: fileParams,
      responses: { 204: undefined },
      handler: async ({ principal, params }) => {
        await files.remove(principal.userId, params.id);
        return { status: 204, data: undefined };
      },
    }),
  ];
}
