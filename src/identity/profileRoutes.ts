import { appError } from "../platform/errors.ts";
import { announce } from "../platform/invalidation.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import { ok, route, type Route } from "../http/route.ts";
import type { Changes } from "./changes.ts";
import { profileBody, userView } from "./schema.ts";
import { findUser, presentUser, type UserView } from "./users.ts";
import { changedZone } from "./zone.ts";

const TAG = "Account";

/** One's own account. */
export function profileRoutes({ pool, changes }: { pool: Pool; changes: Changes }): Route[] {
  async function view(userId: string): Promise<UserView> {
    const user = await findUser(pool, userId);
    if (!user) throw appError("not_found");
    return presentUser(user);
  }

  return [
    route({
      method: "get",
      path: "/api/user/me",
      summary: "Who I am",
      tag: TAG,
      access: "user",
      responses: { 200: userView },
      handler: async ({ principal }) => ok(await view(principal.userId)),
    }),
    route({
      method: "patch",
      path: "/api/user/me",
      summary: "Change display name, language or time zone",
      tag: TAG,
      access: "session",
      body: profileBody,
      responses: { 200: userView },
      handler: async ({ body, principal }) => {
        await inTransaction(pool, async (tx) => {
          const zone = body.time_zone === undefined ? undefined : await changedZone(tx, principal.userId, body.time_zone, Date.now());
          await tx.query(
            `UPDATE users SET display_name = CASE WHEN $2 THEN $3 ELSE display_name END, locale = coalesce($4, locale),
               time_zone = coalesce($5, time_zone), zone_before = CASE WHEN $5 IS NULL THEN zone_before ELSE $6::jsonb END, updated_at = now()
             WHERE id = $1`,
            [
              principal.userId,
              body.display_name !== undefined,
              body.display_name ?? null,
              body.locale ?? null,
              zone?.timeZone ?? null,
              zone?.before ? JSON.stringify(zone.before) : null,
            ],
          );
          await announce(tx, "user", principal.userId);
        });
        changes.made("user", principal.userId);
        return ok(await view(principal.userId));
      },
    }),
  ];
}
