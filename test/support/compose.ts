import { readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { projectRoot } from "../../src/platform/root.ts";

/** Reads docker-compose.yml as Compose does, and the commands that its images would run. */

export interface ComposeService {
  image: string;
  command?: string[];
  environment?: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  volumes?: string[];
  healthcheck?: { test: string[] };
  restart: string;
  /** Started only when one of these is asked for. */
  profiles?: string[];
}

export interface ComposeFile {
  services: Record<string, ComposeService>;
  volumes: Record<string, unknown>;
}

/** The file with anchors and merges resolved; `env` fills in `${…}` and a missing required variable throws, as with Compose. */
export function composeFile(env: Record<string, string>): ComposeFile {
  const text = readFileSync(path.join(projectRoot, "docker-compose.yml"), "utf8");
  return fill(parse(text, { merge: true }), env) as ComposeFile;
}

function fill(value: unknown, env: Record<string, string>): unknown {
  if (typeof value === "string") return interpolate(value, env);
  if (Array.isArray(value)) return value.map((item) => fill(item, env));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, env)]));
  return value;
}

/** `${NAME}`, `${NAME:-default}` and `${NAME:?message}`, nested, and `$$` for a dollar sign (Compose specification, Interpolation). */
export function interpolate(text: string, env: Record<string, string>): string {
  let out = "";
  for (let at = 0; at < text.length; at++) {
    if (text.startsWith("$$", at)) {
      out += "$";
      at += 1;
    } else if (text.startsWith("${", at)) {
      const end = closing(text, at + 2);
      out += resolve(text.slice(at + 2, end), env);
      at = end;
    } else {
      out += text[at];
    }
  }
  return out;
}

function closing(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if (text.startsWith("${", at)) depth += 1;
    if (text[at] === "}" && --depth === 0) return at;
  }
  throw new Error(`a brace is not closed in ${text}`);
}

function resolve(expression: string, env: Record<string, string>): string {
  const [, name = "", operator, rest = ""] = /^([A-Z_][A-Z0-9_]*)(?:(:-|:\?)(.*))?$/s.exec(expression) ?? [];
  if (!name) throw new Error(`not a variable: ${expression}`);
  if (env[name]) return env[name];
  if (operator === ":?") throw new Error(`${name}: ${rest}`);
  return operator === ":-" ? interpolate(rest, env) : "";
}

/** What the image runs before its command, from the Dockerfile's last ENTRYPOINT. */
export function imageEntrypoint(): string[] {
  const text = readFileSync(path.join(projectRoot, "deploy/images/Dockerfile"), "utf8");
  const lines = text.split("\n").filter((line) => line.startsWith("ENTRYPOINT "));
  return JSON.parse(lines.at(-1)!.slice("ENTRYPOINT ".length)) as string[];
}
