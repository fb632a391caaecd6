import { existsSync } from "node:fs";
import path from "node:path";
import { projectRoot } from "../platform/root.ts";

/** Reads `.env` beside package.json, when there is one. What the environment already holds wins. */
export function loadEnv(): void {
  const file = path.join(projectRoot, ".env");
  if (existsSync(file)) process.loadEnvFile(file);
}
