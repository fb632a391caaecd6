import type { Route } from "../route.ts";
import { aliasOf, type Difference, type Own } from "./alias.ts";
import type { FinishUpload } from "./files.ts";

/** Render tasks. */
export function oldTaskRoutes(own: Own, finishUpload: FinishUpload): Route[] {
  const same = (name: string, path: string, difference: Partial<Difference> = {}): Route => aliasOf(own.of(name), { path, ...difference });
  return [
    same("post /api/tasks", "tasks", {
      async run({ principal, body }, go) {
        const scene = (body as { scene_file_id?: string }).scene_file_id;
        if (scene !== undefined) await finishUpload(principal!.userId, scene);
        return go();
      },
    }),
    same("get /api/tasks", "tasks"),
    same("get /api/tasks/:id", "tasks/:id"),
    same("post /api/tasks/:id/pause", "tasks/:id/pause"),
    same("post /api/tasks/:id/resume", "tasks/:id/resume"),
    same("post /api/tasks/:id/cancel", "tasks/:id/cancel"),
    same("delete /api/tasks/:id", "tasks/:id"),
    same("get /api/tasks/:id/logs", "tasks/:id/logs"),
  ];
}
