import type { Units } from "../../../pricing/index.ts";
import type { OwnedRow } from "../../dify/owned/index.ts";
import type { Call } from "../../pipeline/call.ts";
import type { RelayDeps } from "../../pipeline/deps.ts";
import type { Failure } from "../../pipeline/failure.ts";
import { failure } from "../../pipeline/failure.ts";
import type { Form } from "../../pipeline/form.ts";
import type { AnswerKind, Dialect, ReadResult, StreamReader, WholeResult } from "../../pipeline/format.ts";
import { measureSound } from "../../sound/index.ts";
import { BytesReader } from "../bytes.ts";
import { asObject, checkFields, refuse, text, type Check, type Fields } from "../checks.ts";
import { malformed } from "../events.ts";
import { encodeForm, fieldsOfForm, filesOf, type FormRules } from "../forms.ts";
import { noStream } from "../noStream.ts";
import { readObject } from "../whole.ts";
import { inBandFailure, readError } from "./errors.ts";
import { AppRequest } from "./request.ts";
import { ID } from "./made.ts";

const MOST_CHARACTERS = 100_000;
/** Of a message whose answer was not seen here we know the tokens; a token of English is about four characters, of other tongues fewer. */
const CHARACTERS_A_TOKEN = 4;

/** Sound costs no tokens that anybody tells. */
abstract class SoundRequest extends AppRequest {
  override readonly outputCap = 0;
  protected override readonly seesWhole = true;

  protected countOwn(): number {
    return 0;
  }
}

const SPEECH_FIELDS: Record<string, Check> = {
  model: text(200),
  text: text(MOST_CHARACTERS),
  message_id: (value) => (typeof value === "string" && ID.test(value) ? undefined : "must be the id of a message"),
};

/** Words to be spoken: a text, or a message of the caller's, which goes before. */
export class SpeechRequest extends SoundRequest {
  readonly answer: AnswerKind = "bytes";
  readonly body: Readonly<Fields>;
  units: Units;
  /** Nobody knows yet how long its message is. */
  #endless = false;

  constructor(body: Fields) {
    const message = body["message_id"] as string | null | undefined;
    super({
      named: (body["model"] as string | null | undefined) || undefined,
      things: message ? [{ id: message, kind: "message", param: "message_id" }] : [],
    });
    this.body = body;
    this.units = { characters: [...((body["text"] as string | null | undefined) ?? "")].length };
  }

  protected override take([row]: readonly OwnedRow[]): void {
    const { characters, outputTokens } = row!;
    this.#endless = outputTokens === null;
    this.units = { characters: Math.max(1, characters ?? (outputTokens ?? 0) * CHARACTERS_A_TOKEN) };
  }

  override async prepare(deps: RelayDeps, call: Call): Promise<Failure | undefined> {
    const refused = await super.prepare(deps, call);
    if (refused || !this.#endless) return refused;
    return failure("validation_failed", { message: "message_id: the message has not ended", param: "message_id" });
  }

  dialect(): Dialect {
    return {
      path: "/text-to-audio",
      readError,
      encode: () => {
        const { model: _ours, ...rest } = this.body;
        return { body: Buffer.from(JSON.stringify({ ...rest, user: this.user })), contentType: "application/json" };
      },
      openStream: (): StreamReader => new BytesReader((bytes) => ({ content: bytes > 0, tokens: 0, units: this.units })),
      readWhole: (): { ok: false; failure: Failure } => ({ ok: false, failure: failure("internal_error") }),
    };
  }
}

/** Reads the parsed body of a request for speech. */
export function readSpeech(body: unknown): ReadResult {
  const read = asObject(body);
  if (!read.ok) return read;
  const { fields } = read;
  const problem =
    checkFields(SPEECH_FIELDS, fields) ?? (fields["text"] || fields["message_id"] ? undefined : { param: "text", message: "is required" });
  return problem ? refuse(problem) : { ok: true, request: new SpeechRequest(fields) };
}

const FORM: FormRules = { numbers: [], booleans: [], files: ["file"], checks: { model: text(200), user: text(1_000) } };

/** Sound to be written down. */
class TranscriptRequest extends SoundRequest {
  readonly answer: AnswerKind = "whole";
  readonly units: Units;
  readonly #form: Form;

  constructor(form: Form, fields: Fields, seconds: number) {
    super({ named: (fields["model"] as string | undefined) || undefined });
    this.#form = form;
    this.units = { seconds };
  }

  dialect(): Dialect {
    return {
      path: "/audio-to-text",
      readError,
      encode: () => encodeForm(this.#form, { user: this.user, model: undefined }),
      openStream: noStream,
      readWhole: (body): WholeResult => {
        const read = readObject(body, "a transcript", inBandFailure);
        if (!read.ok) return read;
        if (typeof read.fields["text"] !== "string") return { ok: false, failure: noTranscript(read.fields) };
        return { ok: true, usage: undefined, unreadableUsage: false, count: () => ({ content: true, tokens: 0, units: this.units }) };
      },
    };
  }
}

const noTranscript = (fields: Fields): Failure =>
  typeof fields["code"] === "string" ? inBandFailure(fields) : malformed("The provider's answer is no transcript");

/** Reads the form of a request to write down what was said. */
export async function readTranscript(body: unknown): Promise<ReadResult> {
  const form = body as Form;
  const given = fieldsOfForm(form, FORM);
  if ("problem" in given) return refuse(given.problem);
  const [file] = filesOf(form, "file");
  if (!file) return refuse({ param: "file", message: "is required" });
  const seconds = await measureSound(file.data, file.type);
  if (seconds === undefined) return refuse({ param: "file", message: "is no sound that can be read" });
  return { ok: true, request: new TranscriptRequest(form, given.fields, Math.max(1, Math.ceil(seconds))) };
}
