import { randomBytes } from "node:crypto";
import type { EncodedRequest } from "../pipeline/format.ts";
import type { Form, FormFile } from "../pipeline/form.ts";
import { checkFields, type Check, type Fields, type Problem } from "./checks.ts";

/** A name a field may have: a word, and brackets for the items of a list or the parts of an object. */
const NAME = /^[A-Za-z][\w.-]{0,63}(?:\[[\w.-]{0,63}\])*$/;

/** What a route's form may have beyond plain text. */
export interface FormRules {
  /** Fields whose text is a number, or true or false. */
  numbers: readonly string[];
  booleans: readonly string[];
  /** Fields that hold files, without brackets. */
  files: readonly string[];
  checks: Record<string, Check>;
}

const plain = (name: string): string => name.replace(/\[.*$/, "");

/** What a text field means as a value; text that is no number stays text, and is refused where a number is wanted. */
function valueOf(name: string, text: string, rules: FormRules): unknown {
  if (rules.numbers.includes(name) && text.trim() !== "" && !Number.isNaN(Number(text))) return Number(text);
  if (rules.booleans.includes(name) && (text === "true" || text === "false")) return text === "true";
  return text;
}

/**
 * The fields of a form as a JSON body would have them: `x[]` becomes a list. What is wrong comes back in their place: a field twice, an odd
 * name, a file where none belongs, a value that a check refuses.
 */
export function fieldsOfForm(form: Form, rules: FormRules): { fields: Fields } | { problem: Problem } {
  const fields: Fields = Object.create(null) as Fields;
  for (const [name, text] of form.fields) {
    if (!NAME.test(name)) return { problem: { param: "body", message: "has a field with an odd name" } };
    const key = plain(name);
    if (rules.files.includes(key)) return { problem: { param: key, message: "must be a file" } };
    if (name.endsWith("[]")) {
      const list = fields[key] ?? [];
      if (!Array.isArray(list)) return { problem: { param: key, message: "is given twice" } };
      fields[key] = [...(list as unknown[]), text];
    } else if (name in fields) return { problem: { param: name, message: "is given twice" } };
    else fields[name] = valueOf(name, text, rules);
  }
  const stray = form.files.find((file) => !rules.files.includes(plain(file.field)));
  if (stray) return { problem: { param: NAME.test(stray.field) ? stray.field : "body", message: "is not a file this route takes" } };
  const problem = checkFields(rules.checks, fields);
  return problem ? { problem } : { fields };
}

/** The files of one field, in order. */
export const filesOf = (form: Form, field: string): FormFile[] => form.files.filter((file) => plain(file.field) === field);

const quoted = (text: string): string =>
  text.replace(/["\r\n]/g, (sign) => ({ '"': "%22", "\r": "%0D", "\n": "%0A" })[sign]!).replace(/\0/g, "");
const sane = (type: string): string => (/^[\w.+-]+\/[\w.+-]+$/.test(type) ? type : "application/octet-stream");
const MOST_OF_A_NAME = 200;

/**
 * A form written anew from what was read and checked, with these fields in place of the client's own (undefined takes one out).
 */
export function encodeForm(form: Form, own: Record<string, string | undefined>): EncodedRequest {
  const boundary = `tollkeeper-${randomBytes(18).toString("hex")}`;
  const parts: Buffer[] = [];
  const field = (name: string, value: string): void => {
    parts.push(Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`));
  };
  for (const name in own) if (own[name] !== undefined) field(name, own[name]);
  for (const [name, value] of form.fields) if (!Object.hasOwn(own, name)) field(name, value);
  for (const file of form.files) {
    const name = quoted(file.name).slice(-MOST_OF_A_NAME) || "file";
    const head = `Content-Disposition: form-data; name="${quoted(file.field)}"; filename="${name}"\r\nContent-Type: ${sane(file.type)}`;
    parts.push(Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`), file.data, Buffer.from("\r\n"));
  }
  parts.push(Buffer.from(`--${boundary}--\r\n`));
  return { body: Buffer.concat(parts), contentType: `multipart/form-data; boundary=${boundary}` };
}
