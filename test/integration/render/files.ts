import { copyFile, mkdir, mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { uuidv7 } from "../../../src/platform/ids.ts";
import type { RenderFiles, StoredFile } from "../../../src/render/files.ts";

/** A folder that keeps files as the files' domain does. */
export interface TestFiles extends RenderFiles {
  readonly stored: Map<string, { id: string; taskId: string; path: string; stores: number }>;
  bytes(id: string): Promise<Buffer>;
  /** Uploads a scene; returns its id. */
  scene(ownerId: string, text: string | Buffer, name?: string): string;
  /** How often a scene was fetched. */
  fetches: number;
  /** So many stores fail from now on. */
  away: number;
}

export async function testFiles(): Promise<TestFiles & { home: string }> {
  const home = await mkdtemp(path.join(os.tmpdir(), "tollkeeper-render-files-"));
  const stored: TestFiles["stored"] = new Map();
  const scenes = new Map<string, { ownerId: string; text: string | Buffer; file: StoredFile }>();
  const files: TestFiles & { home: string } = {
    home,
    stored,
    away: 0,
    fetches: 0,
    scene(ownerId, text, name = "kettle.txt") {
      const id = uuidv7();
      scenes.set(id, { ownerId, text, file: { id, name, size: Buffer.byteLength(text), kind: "scene" } });
      return id;
    },
    read: async (ownerId, fileId) => {
      const scene = scenes.get(fileId);
      if (scene) return scene.ownerId === ownerId ? scene.file : undefined;
      const kept = [...stored.values()].find(({ id }) => id === fileId);
      return kept && { id: fileId, name: "frame", size: (await stat(kept.path)).size, kind: "frame" };
    },
    fetch: async ({ id }, toPath) => {
      files.fetches += 1;
      const scene = scenes.get(id);
      // For nobody else to read, as the files' domain does it.
      await writeFile(toPath, scene?.text ?? (await readFile(path.join(home, id))), { flag: "wx", mode: 0o600 });
    },
    async store({ key, fromPath, taskId }) {
      if (files.away > 0) {
        files.away -= 1;
        throw new Error("the storage is away");
      }
      const before = stored.get(key);
      if (before) {
        before.stores += 1;
        return { id: before.id };
      }
      const id = uuidv7();
      await mkdir(home, { recursive: true });
      await copyFile(fromPath, path.join(home, id));
      stored.set(key, { id, taskId, path: path.join(home, id), stores: 1 });
      return { id };
    },
    async remove(_ownerId, fileId) {
      for (const [key, file] of stored) if (file.id === fileId) stored.delete(key);
    },
    async removeOfTask(taskId) {
      for (const [key, file] of stored) if (file.taskId === taskId) stored.delete(key);
      return undefined;
    },
    bytes: async (id) => readFile(path.join(home, id)),
  };
  return files;
}

/** True while a file is there. */
export const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );
