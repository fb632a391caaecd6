import type { Units } from "../../../pricing/index.ts";
import type { AnswerKind, Dialect, ReadResult, RelayRequest } from "../../pipeline/format.ts";
import type { Form } from "../../pipeline/form.ts";
import { measureSound } from "../../sound/index.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { checkModel, refuse, type Fields } from "../checks.ts";
import { fieldsOfForm, filesOf, type FormRules } from "../forms.ts";
import { TRANSCRIPTION_FORM, TRANSLATION_FORM } from "./fields.ts";
import { NativeTranscription } from "./native.ts";

/** Audio tokens of a second (https://platform.openai.com/docs/guides/realtime-costs: one for 100 ms). */
const AUDIO_TOKENS_A_SECOND = 10;
/** More than anybody says in a second, and a start. */
const OUTPUT_TOKENS_A_SECOND = 8;
const OUTPUT_TOKENS_AT_LEAST = 64;

/** A validated request to write down what was said. */
export class TranscriptionRequest implements RelayRequest {
  readonly model: string;
  readonly answer: AnswerKind;
  readonly outputCap: number;
  readonly choices = 1;
  readonly units: Units;
  readonly fields: Readonly<Fields>;
  readonly form: Form;
  readonly path: string;
  /** Of the file, begun ones as whole. */
  readonly seconds: number;

  constructor(given: { fields: Fields; form: Form; path: string; seconds: number }) {
    const { fields, seconds } = given;
    this.fields = fields;
    this.form = given.form;
    this.path = given.path;
    this.seconds = seconds;
    this.model = fields["model"] as string;
    // whisper takes the wish for a stream and does not follow it.
    this.answer = fields["stream"] === true && !/whisper/i.test(this.model) ? "stream" : "whole";
    this.outputCap = seconds * OUTPUT_TOKENS_A_SECOND + OUTPUT_TOKENS_AT_LEAST;
    this.units = { seconds };
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget): number {
    const { prompt } = this.fields;
    return this.seconds * AUDIO_TOKENS_A_SECOND + (typeof prompt === "string" ? tokenizer.count(prompt, budget) : 0);
  }

  dialect(): Dialect {
    return new NativeTranscription(this);
  }
}

async function read(body: unknown, path: string, rules: FormRules): Promise<ReadResult> {
  const form = body as Form;
  const given = fieldsOfForm(form, rules);
  if ("problem" in given) return refuse(given.problem);
  const { fields } = given;
  const [file] = filesOf(form, "file");
  const problem = checkModel(fields["model"]) ?? (file ? undefined : { param: "file", message: "is required" });
  if (problem) return refuse(problem);
  const seconds = await measureSound(file!.data, file!.type);
  if (seconds === undefined) return refuse({ param: "file", message: "is no sound that can be read" });
  return { ok: true, request: new TranscriptionRequest({ fields, form, path, seconds: Math.max(1, Math.ceil(seconds)) }) };
}

/** Reads the form of a request to write down what was said. */
export const readTranscription = (body: unknown): Promise<ReadResult> => read(body, "/audio/transcriptions", TRANSCRIPTION_FORM);

/** The same in English. */
export const readTranslation = (body: unknown): Promise<ReadResult> => read(body, "/audio/translations", TRANSLATION_FORM);
