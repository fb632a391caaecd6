import type { z } from "zod";
import { appError, type FieldProblem } from "../platform/errors.ts";

const MAX_DEPTH = 32;

/** Half of a surrogate pair: no character, and no UTF-8. */
const LONE_SURROGATE = /\p{Cs}/u;

function textProblem(text: string): string | undefined {
  if (text.includes("\u0000")) return "must not contain a NUL character";
  return LONE_SURROGATE.test(text) ? "must be valid Unicode" : undefined;
}

/** What no field of any route may be: text that Postgres cannot hold, or values nested so deep that walking them is a danger. */
function unacceptable(value: unknown, path: string, depth = 0): FieldProblem | undefined {
  if (typeof value === "string") {
    const message = textProblem(value);
    return message === undefined ? undefined : { field: path, message };
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (depth === MAX_DEPTH) return { field: path, message: `must not be nested deeper than ${MAX_DEPTH} levels` };
  for (const [key, inner] of Object.entries(value)) {
    const here = path ? `${path}.${key}` : key;
    const message = textProblem(key);
    if (message !== undefined) return { field: Buffer.from(here).toString().replaceAll("\u0000", "?"), message };
    const found = unacceptable(inner, here, depth + 1);
    if (found) return found;
  }
  return undefined;
}

/** What is wrong with a value, field by field; `root` names the value itself. */
export function problemsOf(error: Pick<z.ZodError, "issues">, root: string): FieldProblem[] {
  return error.issues.flatMap((issue): FieldProblem[] => {
    const path = issue.path.map(String);
    if (issue.code === "invalid_union") {
      // The kind that was meant is the one whose fields were looked at.
      const meant = issue.errors.find((issues) => issues.some((one) => one.path.length > 0 || one.code === "unrecognized_keys"));
      if (meant) return problemsOf({ issues: meant.map((one) => ({ ...one, path: [...issue.path, ...one.path] })) }, root);
    }
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ field: [...path, key].join("."), message: "is not a known field" }));
    }
    return [{ field: path.join(".") || root, message: issue.message }];
  });
}

/** One part of a request: what it is called, its schema (if it has one) and what came. */
export interface Part {
  root: "path" | "query" | "body";
  schema: z.ZodType | undefined;
  value: unknown;
}

function parse({ root, schema, value }: Part): { data?: unknown; problems: FieldProblem[] } {
  if (!schema) return { problems: [] };
  const problem = unacceptable(value, "");
  if (problem) return { problems: [{ ...problem, field: problem.field || root }] };
  const parsed = schema.safeParse(value);
  return parsed.success ? { data: parsed.data, problems: [] } : { problems: problemsOf(parsed.error, root) };
}

/** Parses all parts of a request, in order. Throws `validation_failed` that names every bad field of every part. */
export function validateParts(parts: Part[]): unknown[] {
  const results = parts.map(parse);
  const problems = results.flatMap((result) => result.problems);
  if (problems.length > 0) throw validationError(problems);
  return results.map((result) => result.data);
}

/** Parses one value. Throws `validation_failed` with every bad field named. `root` names the value itself. */
export function validate<S extends z.ZodType>(schema: S, value: unknown, root: Part["root"]): z.output<S> {
  return validateParts([{ root, schema, value }])[0] as z.output<S>;
}

/** The 400 for a list of bad fields; the first is also in the message. */
export function validationError(problems: FieldProblem[]): Error {
  const first = problems[0];
  return appError("validation_failed", {
    message: first ? `${first.field}: ${first.message}` : "The request is not valid",
    details: problems,
  });
}
