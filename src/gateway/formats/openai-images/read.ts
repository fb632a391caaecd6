import type { Units } from "../../../pricing/index.ts";
import type { AnswerKind, Dialect, ReadResult, RelayRequest } from "../../pipeline/format.ts";
import type { Form } from "../../pipeline/form.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { asObject, checkFields, checkModel, refuse, type Fields } from "../checks.ts";
import { fieldsOfForm, filesOf } from "../forms.ts";
import { checkPrompt, checkSources, EDIT_FORM, IMAGE_FIELDS } from "./fields.ts";
import { NativeImages } from "./native.ts";
import { tokensOfPicture, tokensOfSources } from "./tokens.ts";

/** A validated request for pictures: from words, or from words and pictures. */
export class ImageRequest implements RelayRequest {
  readonly model: string;
  answer: AnswerKind;
  readonly outputCap: number;
  readonly choices: number;
  readonly units: Units;
  readonly body: Readonly<Fields>;
  /** Where the body came as a form. */
  readonly form: Form | undefined;
  readonly path: string;
  readonly #sources: number;

  constructor(given: { body: Fields; path: string; sources?: number; form?: Form }) {
    const { body } = given;
    this.body = body;
    this.form = given.form;
    this.path = given.path;
    this.model = body["model"] as string;
    this.answer = body["stream"] === true ? "stream" : "whole";
    this.choices = (body["n"] ?? 1) as number;
    this.outputCap = tokensOfPicture(body);
    this.units = { images: this.choices };
    this.#sources = given.sources ?? 0;
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget): number {
    return tokenizer.count(this.body["prompt"] as string, budget) + tokensOfSources(this.#sources, this.body["input_fidelity"]);
  }

  dialect(): Dialect {
    return new NativeImages(this);
  }
}

/** Reads the parsed body of a request for pictures from words. */
export function readGeneration(body: unknown): ReadResult {
  const read = asObject(body);
  if (!read.ok) return read;
  const { fields } = read;
  const problem = checkModel(fields["model"]) ?? checkPrompt(fields["prompt"]) ?? checkFields(IMAGE_FIELDS, fields);
  return problem ? refuse(problem) : { ok: true, request: new ImageRequest({ body: fields, path: "/images/generations" }) };
}

const EDITS = "/images/edits";

const isForm = (body: unknown): body is Form => Array.isArray((body as Form | null)?.fields) && Array.isArray((body as Form | null)?.files);

/** Reads the body of a request to change pictures: a form with the files, or JSON with their addresses. */
export function readEdit(body: unknown, headers: Record<string, string | string[] | undefined>): ReadResult {
  if (/^multipart\//i.test(String(headers["content-type"])) && isForm(body)) return readEditForm(body);
  const read = asObject(body);
  if (!read.ok) return read;
  const { fields } = read;
  const problem = checkModel(fields["model"]) ?? checkPrompt(fields["prompt"]) ?? checkSources(fields) ?? checkFields(IMAGE_FIELDS, fields);
  if (problem) return refuse(problem);
  const sources = (fields["images"] as unknown[]).length + (fields["mask"] ? 1 : 0);
  return { ok: true, request: new ImageRequest({ body: fields, path: EDITS, sources }) };
}

function readEditForm(form: Form): ReadResult {
  const read = fieldsOfForm(form, EDIT_FORM);
  if ("problem" in read) return refuse(read.problem);
  const { fields } = read;
  const none = filesOf(form, "image").length === 0 ? { param: "image", message: "is required" } : undefined;
  const problem = checkModel(fields["model"]) ?? checkPrompt(fields["prompt"]) ?? none;
  return problem
    ? refuse(problem)
    : { ok: true, request: new ImageRequest({ body: fields, path: EDITS, form, sources: form.files.length }) };
}
