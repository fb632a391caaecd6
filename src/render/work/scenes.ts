import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { ApplicationFailure } from "@temporalio/common";
import { uuidv7 } from "../../platform/ids.ts";
import type { Scene } from "../engines/engine.ts";
import type { RenderFiles } from "../files.ts";

/** Scene files that were brought to this machine, each once. */
export interface Scenes {
  /** Throws a failure of type SceneMissing when the owner has removed the file. */
  local(ownerId: string, fileId: string, signal: AbortSignal): Promise<Scene>;
}

/** More are not kept; the one that was used longest ago goes first. */
const KEPT = 20;

export function createScenes(deps: { files: Pick<RenderFiles, "read" | "fetch">; folder: string }): Scenes {
  const { files, folder } = deps;
  const coming = new Map<string, Promise<Scene>>();

  async function bring(ownerId: string, fileId: string, signal: AbortSignal): Promise<Scene> {
    const file = await files.read(ownerId, fileId);
    if (!file) throw ApplicationFailure.nonRetryable("the scene file is not there any more", "SceneMissing");
    const home = path.join(folder, fileId);
    // A name of its own: what the owner called the file never becomes a path.
    const extension = /\.[A-Za-z0-9]{1,8}$/.exec(file.name)?.[0].toLowerCase() ?? "";
    const target = path.join(home, `scene${extension}`);
    const there = await stat(target).catch(() => undefined);
    if (there?.size !== file.size) {
      await mkdir(home, { recursive: true });
      const partial = path.join(home, `${uuidv7()}.part`);
      try {
        await files.fetch(file, partial, signal);
        await rename(partial, target);
      } finally {
        await rm(partial, { force: true });
      }
      await tidy(folder, fileId);
    }
    return { path: target, name: file.name, size: file.size };
  }

  return {
    local(ownerId, fileId, signal) {
      let scene = coming.get(fileId);
      if (!scene) {
        scene = bring(ownerId, fileId, signal).finally(() => coming.delete(fileId));
        coming.set(fileId, scene);
      }
      return scene;
    },
  };
}

async function tidy(folder: string, keep: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => name !== keep);
  const aged = await Promise.all(names.map(async (name) => ({ name, at: (await stat(path.join(folder, name))).mtimeMs })));
  aged.sort((a, b) => b.at - a.at);
  for (const { name } of aged.slice(KEPT - 1)) await rm(path.join(folder, name), { recursive: true, force: true });
}
