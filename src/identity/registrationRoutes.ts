import { z } from "zod";
import { accepted, created, rawRoute, route, type Route } from "../http/route.ts";
import { validate } from "../http/validate.ts";
import { AppError } from "../platform/errors.ts";
import { deviceOf, localeOf } from "./device.ts";
import { claimOf } from "./referredBy.ts";
import type { Sessions } from "./sessions.ts";
import type { SignUp } from "./signUp.ts";
import { presentUser } from "./users.ts";
import { emailCodeBody, registerByCodeBody, registerByLinkBody, resendBody, signedIn, tokenQuery, userView } from "./schema.ts";
import { verifiedPage } from "./verifiedPage.ts";

const TAG = "Registration";

/** Both ways to an account: a mailed code first, or an account first and a mailed link after. */
export function registrationRoutes(deps: { signUp: SignUp; sessions: Sessions }): Route[] {
  const { signUp, sessions } = deps;
  return [
    route({
      method: "post",
      path: "/api/auth/email-code",
      summary: "Mail a code",
      description: "The answer is the same whether the address is known or not.",
      tag: TAG,
      access: "none",
      body: emailCodeBody,
      responses: { 202: z.object({ expires_in: z.number(), resend_after: z.number() }) },
      errors: ["rate_limited"],
      handler: async ({ body, req }) =>
        accepted(await signUp.requestCode({ ...body, locale: localeOf(req) }), "If this address can use a code, it is on its way"),
    }),
    route({
      method: "post",
      path: "/api/auth/register",
      summary: "Register with a mailed code",
      tag: TAG,
      access: "none",
      body: registerByCodeBody,
      responses: { 201: signedIn },
      errors: ["invalid_code", "conflict"],
      handler: async ({ body, req }) => {
        const { referral_code: code, ...rest } = body;
        const user = await signUp.byCode({ ...rest, locale: localeOf(req), referral: claimOf(code, deviceOf(req)) });
        return created(await sessions.open(user, deviceOf(req)), "Welcome");
      },
    }),
    route({
      method: "post",
      path: "/api/user/register",
      summary: "Register now, verify the address by a mailed link later",
      description: "The answer is the same when the address has an account already; a mail tells its owner.",
      tag: TAG,
      access: "none",
      body: registerByLinkBody,
      responses: { 201: userView },
      errors: ["conflict", "rate_limited"],
      handler: async ({ body, req }) => {
        const { referral_code: code, ...rest } = body;
        const user = await signUp.byLink({ ...rest, locale: localeOf(req), referral: claimOf(code, deviceOf(req)) });
        return created(user, "Follow the link in the mail to verify your address");
      },
    }),
    route({
      method: "post",
      path: "/api/user/resend-verification",
      summary: "Mail the link again",
      tag: TAG,
      access: "none",
      body: resendBody,
      responses: { 202: z.object({ resend_after: z.number() }) },
      errors: ["rate_limited"],
      handler: async ({ body, req }) =>
        accepted(
          await signUp.resendLink({ ...body, locale: localeOf(req) }),
          "If this address waits for verification, a link is on its way",
        ),
    }),
    rawRoute({
      method: "get",
      path: "/api/user/verify-email",
      summary: "Verify an address by its mailed link",
      description: "JSON, or a page when the caller asks for text/html.",
      tag: TAG,
      access: "none",
      query: tokenQuery,
      responses: { 200: z.object({ success: z.literal(true), message: z.string(), data: z.object({ user: userView }) }) },
      errors: ["invalid_token"],
      handler: async (req, res) => {
        // Mail scanners look at links with HEAD; only a real visit uses the token up.
        if (req.method === "HEAD") {
          res.status(200).end();
          return;
        }
        const asPage = req.accepts(["json", "html"]) === "html";
        try {
          const { token } = validate(tokenQuery, req.query, "query");
          const user = presentUser(await signUp.verifyEmail(token));
          if (asPage) res.type("html").send(verifiedPage(user.locale, "verified"));
          else res.json({ success: true, message: "The address is verified", data: { user } });
        } catch (error) {
          if (!asPage || !(error instanceof AppError) || error.status >= 500) throw error;
          res
            .status(error.status)
            .type("html")
            .send(verifiedPage(localeOf(req), "refused"));
        }
      },
    }),
  ];
}
