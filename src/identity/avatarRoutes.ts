import { z } from "zod";
import { ok, route, type Route } from "../http/route.ts";
import { uuid } from "../http/schemas.ts";
import { appError } from "../platform/errors.ts";
import type { Pool } from "../platform/postgres.ts";

const TAG = "Account";
const avatarView = z.object({
  file_id: uuid.nullable(),
  url: z.string().nullable().meta({ description: "Shows the picture, for some time; ask again for another" }),
});

/** Where pictures are kept. */
export interface Avatars {
  /** A finished upload of this owner of the kind `avatar`; undefined for anything else. */
  avatar(ownerId: string, fileId: string): Promise<{ id: string } | undefined>;
  /** Where a browser shows it from. */
  urlOf(ownerId: string, fileId: string): Promise<string>;
}

/** One's own picture. It is uploaded like any file, and chosen here. */
export function avatarRoutes({ pool }: { pool: Pool }, avatars: Avatars): Route[] {
  async function view(userId: string) {
    const { rows } = await pool.query<{ avatar_file_id: string | null }>("SELECT avatar_file_id FROM users WHERE id = $1", [userId]);
    const chosen = rows[0]?.avatar_file_id;
    const file = chosen ? await avatars.avatar(userId, chosen) : undefined;
    return { file_id: file?.id ?? null, url: file ? await avatars.urlOf(userId, file.id) : null };
  }

  return [
    route({
      method: "get",
      path: "/api/user/me/avatar",
      summary: "My picture",
      tag: TAG,
      access: "user",
      responses: { 200: avatarView },
      handler: async ({ principal }) => ok(await view(principal.userId)),
    }),
    route({
      method: "put",
      path: "/api/user/me/avatar",
      summary: "Choose my picture, or none",
      description: "`file_id` is a finished upload of kind `avatar`; null for none. The file stays until it is deleted.",
      tag: TAG,
      access: "session",
      body: z.strictObject({ file_id: uuid.nullable() }),
      responses: { 200: avatarView },
      errors: ["not_found"],
      handler: async ({ principal, body }) => {
        if (body.file_id !== null && !(await avatars.avatar(principal.userId, body.file_id)))
          throw appError("not_found", { message: "file_id: is not a finished upload of kind avatar" });
        await pool.query("UPDATE users SET avatar_file_id = $2, updated_at = now() WHERE id = $1", [principal.userId, body.file_id]);
        return ok(await view(principal.userId));
      },
    }),
  ];
}
