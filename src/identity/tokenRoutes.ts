import { z } from "zod";
import type { Principal } from "../http/principal.ts";
import { created, ok, route, type Route } from "../http/route.ts";
import { pageOf, pageQuery, uuid } from "../http/schemas.ts";
import { appError } from "../platform/errors.ts";
import type { EndUserTokens } from "./endUserTokens.ts";
import { mintTokenBody, newTokenView, tokenView } from "./tokenSchema.ts";

const TAG = "End-user tokens";
const keyParams = z.strictObject({ id: uuid });
const tokenParams = z.strictObject({ id: uuid, tokenId: uuid });

/** Short-lived tokens: made with a key, seen and revoked by the key itself or by its owner. */
export function tokenRoutes(deps: { tokens: EndUserTokens; ownsKey: (userId: string, keyId: string) => Promise<boolean> }): Route[] {
  const { tokens, ownsKey } = deps;

  /** Throws `not_found` unless this is the caller's own key; one key does not look after another's tokens. */
  async function checkKey({ userId, apiKeyId }: Principal, keyId: string): Promise<void> {
    const allowed = apiKeyId === undefined ? await ownsKey(userId, keyId) : apiKeyId === keyId;
    if (!allowed) throw appError("not_found", { message: "There is no such key" });
  }

  return [
    route({
      method: "post",
      path: "/api/keys/tokens",
      summary: "Make a short-lived token for an end user, with the key that signs this request",
      description:
        "The token is for calls under `/v1` only and is shown this once. What it spends and how often it calls counts for the key and its account too; " +
        "it ends with its key at the latest.",
      tag: TAG,
      access: "user",
      body: mintTokenBody,
      responses: { 201: newTokenView },
      errors: ["conflict", "email_not_verified"],
      handler: async ({ body, principal }) => {
        if (principal.apiKeyId === undefined)
          throw appError("forbidden", { message: "Send the API key that the token is to be made with" });
        if (!principal.emailVerified) throw appError("email_not_verified");
        const { ttl_seconds, budget, models = null, allowed_ips = null, end_user = null, ...limits } = body;
        return created(
          await tokens.mint(principal.apiKeyId, {
            ttlSeconds: ttl_seconds,
            budget,
            limits,
            models,
            allowedIps: allowed_ips,
            endUser: end_user,
          }),
        );
      },
    }),
    route({
      method: "get",
      path: "/api/user/keys/:id/tokens",
      summary: "End-user tokens of a key, newest first, with what they spent",
      tag: TAG,
      access: "user",
      params: keyParams,
      query: z.strictObject(pageQuery),
      responses: { 200: pageOf(tokenView) },
      handler: async ({ params, query, principal }) => {
        await checkKey(principal, params.id);
        return ok({ ...(await tokens.list(params.id, query)), ...query });
      },
    }),
    route({
      method: "delete",
      path: "/api/user/keys/:id/tokens/:tokenId",
      summary: "Revoke an end-user token; it stops working everywhere within a second",
      tag: TAG,
      access: "user",
      params: tokenParams,
      responses: { 200: tokenView },
      handler: async ({ params, principal }) => {
        await checkKey(principal, params.id);
        return ok(await tokens.revoke(params.id, params.tokenId), "Revoked");
      },
    }),
  ];
}
