import { z } from "zod";
import { appError } from "../../platform/errors.ts";
import { ok, route, type Route } from "../route.ts";
import type { Authenticate } from "../mount.ts";
import { aliasOf, type Own } from "./alias.ts";
import { OLD_PREFIX } from "./prefix.ts";

export interface OldAuthDeps {
  authenticate: Authenticate;
  /** Ends the session that a refresh token belongs to; one that is no longer good ends nothing. */
  endSession(refreshToken: string): Promise<boolean>;
}

/** Signing up, in and out. */
export function oldAuthRoutes(own: Own, { authenticate, endSession }: OldAuthDeps): Route[] {
  const signOut = own.of("post /api/auth/logout");
  return [
    aliasOf(own.of("post /api/user/register"), { path: "auth/register" }),
    aliasOf(own.of("post /api/auth/login"), { path: "auth/login" }),
    aliasOf(own.of("post /api/auth/refresh"), { path: "auth/refresh" }),
    route({
      method: "post",
      path: `${OLD_PREFIX}auth/logout`,
      summary: "End a session by its refresh token, or the one that asks",
      description: "A refresh token is enough, also when the access token has expired. One that is no longer good ends nothing.",
      tag: signOut.tag,
      alias: true,
      access: "none",
      body: z.object({ refresh_token: z.string().min(1).max(200).optional() }),
      responses: signOut.responses,
      errors: ["unauthenticated"],
      handler: async (input) => {
        const { refresh_token: token } = input.body;
        if (token !== undefined) return ok({ ended: Number(await endSession(token)) }, "Signed out");
        const principal = await authenticate(input.req);
        if (!principal?.sessionId) throw appError("unauthenticated");
        return signOut.handler({ ...input, body: {}, principal } as never);
      },
    }),
  ];
}
