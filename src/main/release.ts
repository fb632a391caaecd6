import { readFileSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "../platform/root.ts";

/** The release this code is of. */
export const { version: release } = JSON.parse(readFileSync(path.join(projectRoot, "package.json"), "utf8")) as { version: string };
