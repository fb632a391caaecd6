import { z } from "zod";
import type { Emit, KeyEvent } from "../activity/index.ts";
import { pageOf, pageQuery, uuid } from "../http/schemas.ts";
import type { Principal } from "../http/principal.ts";
import { created, ok, route, type Route } from "../http/route.ts";
import type { ApiKeys, KeyView } from "./keys.ts";
import { createKeyBody, keyView, newKeyView, rotateKeyBody, updateKeyBody } from "./schema.ts";

const TAG = "API keys";
const params = z.strictObject({ id: uuid });

/** A person's own API keys. */
export function keyRoutes(keys: ApiKeys, emit: Emit): Route[] {
  function told<K extends KeyView>(kind: KeyEvent["kind"], key: K, by: { principal: Principal; ip: string }): K {
    emit({ kind, user_id: by.principal.userId, ip: by.ip, key_id: key.id, name: key.name, prefix: key.prefix });
    return key;
  }

  return [
    route({
      method: "get",
      path: "/api/user/keys",
      summary: "Own keys, newest first",
      tag: TAG,
      access: "session",
      query: z.strictObject(pageQuery),
      responses: { 200: pageOf(keyView) },
      handler: async ({ query, principal }) => ok({ ...(await keys.list(principal.userId, query)), ...query }),
    }),
    route({
      method: "post",
      path: "/api/user/keys",
      summary: "Make a key; it is shown this once",
      tag: TAG,
      access: "verified",
      body: createKeyBody,
      responses: { 201: newKeyView },
      errors: ["conflict"],
      handler: async ({ body, principal, ip }) => {
        const { name, expires_at = null, limits, models = null, allowed_ips = null, cache_seconds = null } = body;
        const settings = { name, expires_at, limits: limits ?? {}, models, allowed_ips, cache_seconds };
        return created(told("key.created", await keys.create(principal.userId, settings), { principal, ip }));
      },
    }),
    route({
      method: "get",
      path: "/api/user/keys/:id",
      summary: "One key",
      tag: TAG,
      access: "session",
      params,
      responses: { 200: keyView },
      handler: async ({ params, principal }) => ok(await keys.get(principal.userId, params.id)),
    }),
    route({
      method: "patch",
      path: "/api/user/keys/:id",
      summary: "Change a key; limits replace, null clears",
      tag: TAG,
      access: "verified",
      params,
      body: updateKeyBody,
      responses: { 200: keyView },
      errors: ["invalid_state"],
      handler: async ({ params, body, principal, ip }) => {
        const { limits, ...rest } = body;
        const changes = { ...rest, ...(limits === undefined ? {} : { limits: limits ?? {} }) } as Parameters<ApiKeys["update"]>[2];
        return ok(told("key.changed", await keys.update(principal.userId, params.id, changes), { principal, ip }));
      },
    }),
    route({
      method: "post",
      path: "/api/user/keys/:id/rotate",
      summary: "A new secret for a key; the old one lives on for a grace time",
      tag: TAG,
      access: "verified",
      params,
      body: rotateKeyBody,
      responses: { 201: newKeyView },
      errors: ["invalid_state"],
      handler: async ({ params, body, principal, ip }) => {
        const rotated = await keys.rotate(principal.userId, params.id, body.grace_seconds * 1_000);
        return created(told("key.rotated", rotated, { principal, ip }));
      },
    }),
    route({
      method: "delete",
      path: "/api/user/keys/:id",
      summary: "Revoke a key; it stops working everywhere within a second",
      tag: TAG,
      access: "verified",
      params,
      responses: { 200: keyView },
      handler: async ({ params, principal, ip }) =>
        ok(told("key.revoked", await keys.revoke(principal.userId, params.id), { principal, ip }), "Revoked"),
    }),
  ];
}
