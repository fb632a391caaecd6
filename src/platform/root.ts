import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

function findRoot(from: string): string {
  for (let folder = from; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, "package.json"))) return folder;
    if (folder === path.dirname(folder)) throw new Error(`no package.json above ${from}`);
  }
}

/** The folder with package.json, wherever the compiled file lies; files that are not compiled (migrations, pages) are found from here. */
export const projectRoot = findRoot(path.dirname(fileURLToPath(import.meta.url)));
