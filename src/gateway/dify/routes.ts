import type { IncomingMessage } from "node:http";
import { difyForm, difyNaming, difyResume, difySuggested, difyWorkflowVersion } from "../formats/dify/index.ts";
import { difyVoice } from "../formats/dify/errors.ts";
import { ID } from "../formats/dify/made.ts";
import { notFound } from "../formats/dify/owner.ts";
import { sendFailure, type Answer } from "../pipeline/answer.ts";
import type { RelayDeps } from "../pipeline/deps.ts";
import type { Format } from "../pipeline/format.ts";
import { serve } from "../pipeline/serve.ts";
import type { Registry } from "../registry.ts";
import { servePassed } from "./pass.ts";
import { DIFY_ROOT } from "./root.ts";
import { PASSED } from "./table.ts";

type Serve = (req: IncomingMessage, answer: Answer, params: Record<string, string>) => Promise<void>;

interface Pattern {
  method: string;
  parts: readonly string[];
  serve: Serve;
}

/** What else of the query of a run's events passes on. */
const RESUME_QUERY = ["include_state_snapshot", "continue_on_pause"];

function resumeSearch(req: IncomingMessage): string {
  const query = new URLSearchParams((req.url ?? "").split("?")[1] ?? "");
  const kept = new URLSearchParams([...query].filter(([name]) => RESUME_QUERY.includes(name)));
  return kept.size > 0 ? `&${kept.toString()}` : "";
}

/** Dify's routes that name something in their path, and those that cost nothing. */
export function difyRoutes(deps: RelayDeps & { registry: Registry }): {
  /** What serves a path; `allowed` are the methods it has, when it has not this one. */
  find(
    method: string,
    path: string,
  ): { serve: (req: IncomingMessage, answer: Answer) => Promise<void> } | { allowed: string[] } | undefined;
} {
  const charged =
    (name: string, formatOf: (id: string, req: IncomingMessage) => Format): Serve =>
    async (req, answer, params) => {
      const id = params[name]!;
      if (!ID.test(id)) return sendFailure(answer, difyVoice, notFound("What the path names"));
      return serve(deps, formatOf(id, req), req, answer);
    };
  const patterns: Pattern[] = [
    { method: "POST", parts: ["workflows", ":id", "run"], serve: charged("id", difyWorkflowVersion) },
    { method: "GET", parts: ["messages", ":id", "suggested"], serve: charged("id", difySuggested) },
    { method: "POST", parts: ["conversations", ":id", "name"], serve: charged("id", difyNaming) },
    { method: "GET", parts: ["workflow", ":id", "events"], serve: charged("id", (id, req) => difyResume(id, resumeSearch(req))) },
    { method: "POST", parts: ["form", "human_input", ":id"], serve: charged("id", difyForm) },
    ...PASSED.map((route): Pattern => ({
      method: route.method,
      parts: route.path.slice(1).split("/"),
      serve: (req, answer, params) => servePassed(deps, route, params, req, answer),
    })),
  ];

  return {
    find(method, path) {
      const given = path.slice(DIFY_ROOT.length + 1).split("/");
      const fitting = patterns.flatMap((pattern) => {
        const params = match(pattern.parts, given);
        return params ? [{ pattern, params }] : [];
      });
      if (fitting.length === 0) return undefined;
      const found = fitting.find(({ pattern }) => pattern.method === method);
      if (!found) return { allowed: fitting.map(({ pattern }) => pattern.method) };
      return { serve: (req, answer) => found.pattern.serve(req, answer, found.params) };
    },
  };
}

function match(parts: readonly string[], given: readonly string[]): Record<string, string> | undefined {
  if (parts.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, part] of parts.entries()) {
    if (part.startsWith(":")) params[part.slice(1)] = decoded(given[i]!);
    else if (part !== given[i]) return undefined;
  }
  return params;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}
