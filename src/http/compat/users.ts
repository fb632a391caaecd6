import { z } from "zod";
import type { Route } from "../route.ts";
import { aliasOf, type Difference, type Own } from "./alias.ts";

type Data = Record<string, unknown>;

/** Whole yuan or with two decimals, as text or as the number that an old client may send. */
const amount = z
  .union([z.string(), z.number()])
  .transform(String)
  .meta({ description: "Yuan, with at most two decimals", examples: ["50.00"] });

/** One's own account, balance and bills. */
export function oldUserRoutes(own: Own): Route[] {
  const me = own.of("get /api/user/me");
  const avatar = own.of("get /api/user/me/avatar");
  const [change, setAvatar] = [own.of("patch /api/user/me"), own.of("put /api/user/me/avatar")];

  /** With the avatar, which rides on the profile there. */
  const withAvatar: Pick<Difference, "toData" | "data"> = {
    toData: async (data, input) => {
      const { data: shown } = await avatar.handler({ ...input, body: undefined, query: undefined, params: undefined });
      const { file_id, url } = shown as { file_id: string | null; url: string | null };
      return { ...(data as Data), avatar_file_id: file_id, avatar_url: url };
    },
    data: (me.responses[200] as z.ZodObject).extend({
      avatar_file_id: z.uuid().nullable(),
      avatar_url: z.string().nullable().meta({ description: "For some time; ask again for another" }),
    }),
  };
  const profile = z
    .object({ ...(change.body as z.ZodObject).shape, avatar_file_id: z.uuid().nullable().optional() })
    .refine((body) => Object.values(body).some((value) => value !== undefined), {
      path: ["display_name"],
      message: "send at least one of display_name, locale, time_zone, avatar_file_id",
    });
  const changing = (method: "put" | "patch") =>
    aliasOf(change, {
      path: "users/me",
      method,
      summary: "Change my profile, with its avatar",
      description: "Fields that are left out stay. `avatar_file_id` is a finished upload of kind `avatar`, or null for none.",
      body: profile,
      toBody: ({ avatar_file_id: _avatar, ...body }: Data) => body,
      run: async (input, go) => {
        const { avatar_file_id: file, ...rest } = input.body as Data;
        if (file !== undefined) await setAvatar.handler({ ...input, body: { file_id: file }, query: undefined, params: undefined });
        const more = Object.values(rest).some((value) => value !== undefined);
        return more ? go() : me.handler({ ...input, body: undefined });
      },
      ...withAvatar,
    });

  return [
    aliasOf(me, { path: "users/me", ...withAvatar }),
    changing("put"),
    changing("patch"),
    aliasOf(own.of("get /api/user/balance"), {
      path: "users/me/balance",
      toData: (data) => ({ ...(data as Data), balance: (data as Data)["available"] }),
      data: (own.of("get /api/user/balance").responses[200] as z.ZodObject).extend({
        balance: z.string().meta({ description: "What is available, again" }),
      }),
    }),
    aliasOf(own.of("post /api/topup/orders"), {
      path: "users/me/recharge",
      summary: "Open a top-up order",
      description: "Nothing is credited before it is paid: `pay_url` or `qr_code` is where.",
      body: z.object({ amount, method: z.string(), channel: z.string().optional() }),
      toBody: (body: Data) => ({ ...body, currency: "CNY" }),
    }),
    aliasOf(own.of("get /api/user/transactions"), { path: "users/me/transactions" }),
    aliasOf(own.of("get /api/user/billing"), { path: "users/me/bills" }),
  ];
}
