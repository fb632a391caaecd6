import type { z } from "zod";
import { appError, type FieldProblem } from "../platform/errors.ts";

/** Postgres text cannot hold U+0000, and no field of ours needs control characters that hide in logs. */
function nulField(value: unknown, path: string): string | undefined {
  if (typeof value === "string") return value.includes("\u0000") ? path : undefined;
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const here = path ? `${path}.${key}` : key;
    if (key.includes("\u0000")) return here.replaceAll("\u0000", "?");
    const found = nulField(inner, here);
    if (found) return found;
  }
  return undefined;
}

function problemsOf(error: z.ZodError, root: string): FieldProblem[] {
  return error.issues.flatMap((issue): FieldProblem[] => {
    const path = issue.path.map(String);
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ field: [...path, key].join("."), message: "is not a known field" }));
    }
    return [{ field: path.join(".") || root, message: issue.message }];
  });
}

/** Parses one part of a request. Throws `validation_failed` with every bad field named. `root` names the part itself ("body"). */
export function validate<S extends z.ZodType>(schema: S, value: unknown, root: string): z.output<S> {
  const nul = nulField(value, "");
  if (nul !== undefined) throw validationError([{ field: nul || root, message: "must not contain a NUL character" }]);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw validationError(problemsOf(parsed.error, root));
}

/** The 400 for a list of bad fields; the first is also in the message. */
export function validationError(problems: FieldProblem[]): Error {
  const first = problems[0];
  return appError("validation_failed", {
    message: first ? `${first.field}: ${first.message}` : "The request is not valid",
    details: problems,
  });
}
