import { failure, type Failure } from "../pipeline/failure.ts";

/** What is wrong with one field of a request. */
export interface Problem {
  param: string;
  message: string;
}

/** Says what is wrong with a value; undefined when nothing is. */
export type Check = (value: unknown) => string | undefined;

export type Fields = Record<string, unknown>;

export const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);

/** Text or a number as text. An object may hold a `toString` that is no function, so that writing it as text would throw. */
export const wordOf = (value: unknown): string => (typeof value === "string" ? value : typeof value === "number" ? String(value) : "");

/** The objects of a list; none of anything else. */
export const objectsIn = (value: unknown): Fields[] => (Array.isArray(value) ? (value as unknown[]).filter(isObject) : []);

export const whole =
  (min: number, max: number): Check =>
  (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
      ? undefined
      : `must be a whole number from ${min} to ${max}`;

export const number =
  (min: number, max: number): Check =>
  (value) =>
    typeof value === "number" && value >= min && value <= max ? undefined : `must be a number from ${min} to ${max}`;

export const boolean: Check = (value) => (typeof value === "boolean" ? undefined : "must be true or false");

export const text =
  (max: number): Check =>
  (value) =>
    typeof value === "string" && value.length <= max ? undefined : `must be text of at most ${max} characters`;

export const oneOf =
  (...words: string[]): Check =>
  (value) =>
    typeof value === "string" && words.includes(value) ? undefined : `must be ${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;

export const object: Check = (value) => (isObject(value) ? undefined : "must be an object");

export const list =
  (max: number): Check =>
  (value) =>
    Array.isArray(value) && value.length <= max && value.every(isObject) ? undefined : `must be a list of at most ${max} objects`;

export const textOrObject: Check = (value) => (typeof value === "string" || isObject(value) ? undefined : "must be text or an object");

/** One text, or a list of at most `max`. */
export const texts =
  (max: number): Check =>
  (value) =>
    typeof value === "string" || (Array.isArray(value) && value.length <= max && value.every((item) => typeof item === "string"))
      ? undefined
      : `must be text or a list of at most ${max} texts`;

/** It costs money that no price here covers, or reaches what belongs to nobody in particular. */
export const notOffered: Check = () => "is not offered here";

/** Aggregators answer with another, dearer model than the one priced, or with paid extras, when asked by these. */
export const NO_CHOICE_OF_OTHERS: Record<string, Check> = {
  models: notOffered,
  route: notOffered,
  plugins: notOffered,
  provider: notOffered,
  fallbacks: notOffered,
  preset: notOffered,
  api_base: notOffered,
  base_url: notOffered,
};

/** Priority processing costs more than the price; the other tiers never do. */
export const serviceTier = oneOf("auto", "default", "flex");

export const streamOptions: Check = (value) =>
  isObject(value) && [undefined, null, true, false].includes(value["include_usage"] as boolean)
    ? undefined
    : "must be an object; include_usage must be true or false";

/** Fields that routes read beside those they check one by one. */
const READ = new Set(
  `model messages prompt input system tools functions query documents instructions voice images image mask file thinking inputs files
  conversation_id max_tokens max_completion_tokens max_output_tokens n best_of stream stream_options`.split(/\s+/),
);

const ODD = /[^a-z0-9_]/;

/**
 * A name as a reader that minds no case takes it. Go's does not (https://pkg.go.dev/encoding/json#Unmarshal), and many upstreams are
 * written in Go, to which the long s is an s and the sign for Kelvin a k.
 */
const folded = (name: string): string => name.toLowerCase().replaceAll("\u017f", "s");

/** Whether an upstream may read this field as one that was priced, limited or refused under its own name. */
function isDisguised(name: string, checks: Record<string, Check>, body: Fields): boolean {
  const plain = folded(name);
  return plain !== name && (READ.has(plain) || Object.hasOwn(checks, plain) || Object.hasOwn(body, plain));
}

/**
 * The first thing wrong with these fields, or undefined. `null` is allowed for all of them, as OpenAI does; unknown fields pass, but for
 * those that are known ones in other letters.
 */
export function checkFields(checks: Record<string, Check>, body: Fields): Problem | undefined {
  for (const name in body) {
    if (ODD.test(name) && isDisguised(name, checks, body))
      return { param: name.slice(0, 100), message: `must be written ${folded(name).slice(0, 100)}` };
    const check = checks[name];
    const value = body[name];
    if (check === undefined || value === null || value === undefined || !Object.hasOwn(checks, name)) continue;
    const message = check(value);
    if (message !== undefined) return { param: name, message };
  }
  return undefined;
}

/** The first thing wrong with the model's name, or undefined. */
export function checkModel(model: unknown): Problem | undefined {
  if (model === undefined) return { param: "model", message: "is required" };
  return typeof model === "string" && model.length > 0 && model.length <= 200
    ? undefined
    : { param: "model", message: "must be text of 1 to 200 characters" };
}

/** A request refused for one of its fields. */
export function refuse(problem: Problem): { ok: false; failure: Failure } {
  return { ok: false, failure: failure("validation_failed", { message: `${problem.param}: ${problem.message}`, param: problem.param }) };
}

/** The body as an object, or its refusal. */
export function asObject(body: unknown): { ok: true; fields: Fields } | { ok: false; failure: Failure } {
  return isObject(body) ? { ok: true, fields: body } : refuse({ param: "body", message: "must be a JSON object" });
}
