import type { z } from "zod";
import { isOperator } from "../principal.ts";
import type { Route } from "../route.ts";
import { aliasOf, type Own } from "./alias.ts";
import { OLD_PREFIX, OLD_WS } from "./prefix.ts";

/** Live push: the WebSocket, how many there are, and what operators tell. Also at the paths without prefix, which the old client was given. */
export function oldLiveRoutes(own: Own, routes: readonly Route[]): Route[] {
  const [mine, all] = [own.of("get /api/live/stats"), own.of("get /api/admin/live")];
  const socket = routes.find(({ method, path }) => method === "get" && path === OLD_WS);
  const stats = (path: string): Route =>
    aliasOf(mine, {
      path,
      summary: "How many live connections there are",
      description: "One's own; for operators also those of all copies.",
      toData: async (data, input) => {
        if (!isOperator(input.principal!)) return data;
        const { data: total } = await all.handler({ ...input, body: undefined, query: undefined, params: undefined });
        return { ...(data as object), all: total };
      },
      data: (mine.responses[200] as z.ZodObject).extend({ all: (all.responses[200] as z.ZodObject).optional() }),
    });
  const notify = (path: string): Route => aliasOf(own.of("post /api/admin/live/notices"), { path });
  return [
    ...(socket ? [{ ...socket, path: `${OLD_PREFIX}ws`, alias: true }] : []),
    ...["ws/stats", `${OLD_WS}/stats`].map(stats),
    ...["ws/notify", `${OLD_WS}/notify`].map(notify),
  ];
}
