import type { Units } from "../../../pricing/index.ts";
import type { AnswerKind, Dialect, ReadResult, RelayRequest } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import {
  asObject,
  checkFields,
  checkModel,
  NO_CHOICE_OF_OTHERS,
  number,
  oneOf,
  refuse,
  text,
  textOrObject,
  type Check,
  type Fields,
  type Problem,
} from "../checks.ts";
import { NativeSpeech } from "./native.ts";
import { charactersOf, tokensOfSpeech } from "./tokens.ts";

/** OpenAI reads 4,096 and says so itself; other vendors read longer texts. */
const MOST_CHARACTERS = 100_000;
/** The most a text may take longer than our rule says. */
const MARGIN = 2;

const FIELDS: Record<string, Check> = {
  voice: textOrObject,
  instructions: text(100_000),
  response_format: text(32),
  speed: number(0.25, 4),
  stream_format: oneOf("sse", "audio"),
  ...NO_CHOICE_OF_OTHERS,
};

/** A validated request for speech. */
export class SpeechRequest implements RelayRequest {
  readonly model: string;
  readonly answer: AnswerKind;
  readonly outputCap: number;
  readonly choices = 1;
  readonly units: Units;
  readonly body: Readonly<Fields>;
  /** Output tokens as we expect them. */
  readonly expected: number;
  readonly format: string;

  constructor(body: Fields) {
    const input = body["input"] as string;
    this.body = body;
    this.model = body["model"] as string;
    this.answer = body["stream_format"] === "sse" ? "stream" : "bytes";
    this.expected = tokensOfSpeech(input, (body["speed"] ?? 1) as number);
    this.outputCap = this.expected * MARGIN;
    this.units = { characters: charactersOf(input) };
    this.format = (body["response_format"] ?? "mp3") as string;
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget): number {
    const { input, instructions } = this.body;
    return tokenizer.count(input as string, budget) + (typeof instructions === "string" ? tokenizer.count(instructions, budget) : 0);
  }

  dialect(): Dialect {
    return new NativeSpeech(this);
  }
}

function checkInput(input: unknown): Problem | undefined {
  if (input === undefined || input === null) return { param: "input", message: "is required" };
  return typeof input === "string" && input !== "" && input.length <= MOST_CHARACTERS
    ? undefined
    : { param: "input", message: `must be text of 1 to ${MOST_CHARACTERS} characters` };
}

/** Reads the parsed body of a request for speech. */
export function readSpeech(body: unknown): ReadResult {
  const read = asObject(body);
  if (!read.ok) return read;
  const { fields } = read;
  const problem = checkModel(fields["model"]) ?? checkInput(fields["input"]) ?? checkFields(FIELDS, fields);
  return problem ? refuse(problem) : { ok: true, request: new SpeechRequest(fields) };
}
