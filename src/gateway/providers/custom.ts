import { z } from "zod";
import { unknownPlace } from "./template.ts";

/** What a provider's paths are called in `config.custom.paths`, by the path in OpenAI's or Anthropic's API. */
export const PATH_NAMES = {
  "/chat/completions": "chat",
  "/completions": "completions",
  "/responses": "responses",
  "/embeddings": "embeddings",
  "/messages": "messages",
  "/messages/count_tokens": "count_tokens",
  "/images/generations": "images",
  "/images/edits": "image_edits",
  "/audio/speech": "speech",
  "/audio/transcriptions": "transcriptions",
  "/audio/translations": "translations",
  "/moderations": "moderations",
  "/rerank": "rerank",
  "/models": "models",
} as const;

const NAMES = Object.values(PATH_NAMES);
const DOTS = /(^|\/)(\.|%2e){1,2}(\/|$)/i;

/** Why a path is refused; it is appended to the base URL and must not lead to another host or out of its folder. */
function pathProblem(path: string): string | undefined {
  if (!/^\/(?!\/)[\x21-\x7e]*$/.test(path) || /[\\#]/.test(path)) return "must begin with one / and hold no spaces, backslashes or #";
  if (unknownPlace(path, ["model"]) !== undefined) return "knows only {{model}}";
  const [name = "", query] = path.split("?", 2);
  if (DOTS.test(name)) return "must not hold . or .. as a segment";
  return path.split("?").length > 2 || query === "" ? "has a broken query" : undefined;
}

const path = z
  .string()
  .max(500)
  .superRefine((value, context) => {
    const problem = pathProblem(value);
    if (problem) context.addIssue({ code: "custom", message: problem });
  });

/** Set by the relay itself, or not to be set by anybody. */
const RESERVED = /^(host|connection|content-.*|transfer-encoding|accept-encoding|te|trailer|upgrade|expect|keep-alive|proxy-.*|cookie)$/i;

export const headerName = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, "must be a header's name")
  .refine((name) => !RESERVED.test(name), "may not be set");

/** One line for a header, with places for the key and the model. */
const headerTemplate = z
  .string()
  .max(2_000)
  .regex(/^[\x20-\x7e]*$/, "must be visible ASCII characters")
  .refine((value) => unknownPlace(value, ["api_key", "model"]) === undefined, "knows only {{api_key}} and {{model}}");

/** What the hold and the way an answer is read rest on; a template that changed these would let calls cost more than is held. */
const KEPT = new Set(["stream", "n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens"]);
/** The model may be left out, where the path names it, but not be another than was priced. */
const NOT_MADE = new Set([...KEPT, "model"]);
const fieldName = z.string().min(1).max(100);
const changeable = fieldName.refine((name) => !KEPT.has(name), "may not be removed; it decides what is charged");

const body = z.strictObject({
  set: z
    .record(
      fieldName.refine((name) => !NOT_MADE.has(name), "may not be set; it decides what is charged"),
      z.json(),
    )
    .refine((value) => badText(value) === undefined, "knows only {{model}}")
    .optional()
    .meta({ description: "Fields added or replaced; texts may hold {{model}}" }),
  remove: z.array(changeable).max(50).optional(),
  rename: z
    .record(fieldName, fieldName)
    .refine(
      (all) => Object.entries(all).every(([from, to]) => NOT_MADE.has(from) || !NOT_MADE.has(to)),
      "may not make a field decide what is charged",
    )
    .optional()
    .meta({ description: "Old name to new name" }),
});

function badText(value: unknown): string | undefined {
  if (typeof value === "string") return unknownPlace(value, ["model"]);
  if (typeof value !== "object" || value === null) return undefined;
  for (const item of Object.values(value)) {
    const bad = badText(item);
    if (bad !== undefined) return bad;
  }
  return undefined;
}

/** How a provider of the format `custom` differs from the API that it speaks. */
export const customFormat = z
  .strictObject({
    speaks: z.enum(["openai", "claude"]).meta({ description: "Whose requests and answers it has, but for what is said here" }),
    auth_header: headerName.optional().meta({ description: "`authorization` when left out" }),
    auth_template: headerTemplate
      .refine((value) => value.includes("{{api_key}}"), "must hold {{api_key}}")
      .optional()
      .meta({ description: "`Bearer {{api_key}}` when left out" }),
    headers: z
      .record(headerName, headerTemplate)
      .refine((all) => Object.keys(all).length <= 20, "must not hold more than 20 headers")
      .optional(),
    paths: z
      .partialRecord(z.enum(NAMES), path)
      .optional()
      .meta({ description: "Appended to the base URL without `/v1`; may hold {{model}} and a query" }),
    body: body.optional().meta({ description: "Changes of the top-level fields of JSON bodies: rename, then remove, then set" }),
  })
  .meta({ description: "For the format `custom`" });

export type CustomFormat = z.output<typeof customFormat>;
