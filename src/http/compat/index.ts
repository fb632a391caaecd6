import type { Route } from "../route.ts";
import { ownRoutes } from "./alias.ts";
import { oldAuthRoutes, type OldAuthDeps } from "./auth.ts";
import { oldFileRoutes, type FinishUpload } from "./files.ts";
import { oldLiveRoutes } from "./live.ts";
import { oldTaskRoutes } from "./tasks.ts";
import { oldUserRoutes } from "./users.ts";

/**
 * The paths of the old desktop client, led to the product's own `routes`. They answer the plain object, refuse with `detail` and a true
 * status (422 for a field that is wrong), and take bodies with more fields than they need.
 */
export function oldClientRoutes(routes: readonly Route[], deps: OldAuthDeps & { finishUpload: FinishUpload }): Route[] {
  const own = ownRoutes(routes);
  return [
    ...oldAuthRoutes(own, deps),
    ...oldUserRoutes(own),
    ...oldTaskRoutes(own, deps.finishUpload),
    ...oldFileRoutes(own, deps.finishUpload),
    ...oldLiveRoutes(own, routes),
  ];
}
