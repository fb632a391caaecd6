import { z } from "zod";
import { pageOf, pageQuery, uuid } from "../http/schemas.ts";
import { ok, route, type Route } from "../http/route.ts";
import { appError } from "../platform/errors.ts";
import type { Request } from "express";
import { deviceOf } from "./device.ts";
import type { Login } from "./login.ts";
import type { IdentityModels } from "./models.ts";
import type { Strategies } from "./passport.ts";
import { loginBody, logoutBody, refreshBody, sessionView, signedIn } from "./schema.ts";
import type { Sessions } from "./sessions.ts";
import { Op } from "sequelize";

const TAG = "Sign-in";
const LOGIN_PATHS = ["/api/auth/login", "/api/user/login", "/auth/login"];

/** Sign-in, refresh, sign-out and the list of sessions. */
export function sessionRoutes(deps: { strategies: Strategies; login: Login; sessions: Sessions; models: IdentityModels }): Route[] {
  const { strategies, login, sessions, models } = deps;

  async function signIn(body: z.output<typeof loginBody>, req: Request): Promise<unknown> {
    const user =
      body.code === undefined
        ? await strategies.signIn(req, { identifier: (body.identifier ?? body.username ?? body.email)!, password: body.password! })
        : await login.byCode(body.email!.toLowerCase(), body.code, req.ip ?? "");
    if (!user) throw appError("invalid_credentials", body.code === undefined ? {} : { message: "The code is wrong or has expired" });
    return sessions.open(user, deviceOf(req));
  }

  return [
    ...LOGIN_PATHS.map((path, index) =>
      route({
        method: "post",
        path,
        summary: "Sign in with a password or a mailed code",
        description:
          "`identifier` is a username, an e-mail address or a phone number; it may also be sent as `username` or `email`. With `code`, send `email`.",
        tag: TAG,
        alias: index > 0,
        access: "none",
        body: loginBody,
        responses: { 200: signedIn },
        errors: ["invalid_credentials", "account_suspended", "too_many_attempts"],
        handler: async ({ body, req }) => ok(await signIn(body, req), "Signed in"),
      }),
    ),
    route({
      method: "post",
      path: "/api/auth/refresh",
      summary: "Exchange a refresh token for new tokens",
      description:
        "Each refresh token works once. Using one again ends its session, except within 10 seconds: then the answer is `conflict` and the session lives on.",
      tag: TAG,
      access: "none",
      body: refreshBody,
      responses: { 200: signedIn },
      errors: ["invalid_refresh_token", "conflict", "account_suspended"],
      handler: async ({ body, req }) => ok(await sessions.refresh(body.refresh_token, deviceOf(req))),
    }),
    route({
      method: "post",
      path: "/api/auth/logout",
      summary: "End this session, or all",
      tag: TAG,
      access: "session",
      body: logoutBody,
      responses: { 200: z.object({ ended: z.number() }) },
      handler: async ({ body, principal }) => {
        if (body.all) return ok({ ended: await sessions.revokeAll(principal.userId) }, "Signed out everywhere");
        return ok({ ended: Number(await sessions.revoke(principal.userId, principal.sessionId!)) }, "Signed out");
      },
    }),
    route({
      method: "get",
      path: "/api/auth/sessions",
      summary: "Live sessions",
      tag: TAG,
      access: "session",
      query: z.strictObject(pageQuery),
      responses: { 200: pageOf(sessionView) },
      handler: async ({ query, principal }) => {
        const { rows, count } = await models.sessions.findAndCountAll({
          where: { user_id: principal.userId, revoked_at: null, expires_at: { [Op.gt]: new Date() } },
          order: [
            ["last_used_at", "DESC"],
            ["id", "DESC"],
          ],
          limit: query.page_size,
          offset: (query.page - 1) * query.page_size,
        });
        const items = rows.map((row) => {
          const { id, ip, user_agent, created_at, last_used_at, expires_at } = row.get({ plain: true });
          return { id, current: id === principal.sessionId, ip, user_agent, created_at, last_used_at, expires_at };
        });
        return ok({ items, total: count, ...query });
      },
    }),
    route({
      method: "delete",
      path: "/api/auth/sessions",
      summary: "End every other session",
      tag: TAG,
      access: "session",
      responses: { 200: z.object({ ended: z.number() }) },
      handler: async ({ principal }) => ok({ ended: await sessions.revokeAll(principal.userId, principal.sessionId) }),
    }),
    route({
      method: "delete",
      path: "/api/auth/sessions/:id",
      summary: "End one session",
      tag: TAG,
      access: "session",
      params: z.strictObject({ id: uuid }),
      responses: { 200: z.object({ ended: z.number() }) },
      handler: async ({ params, principal }) => {
        if (!(await sessions.revoke(principal.userId, params.id))) throw appError("not_found");
        return ok({ ended: 1 });
      },
    }),
  ];
}
