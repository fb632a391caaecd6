import type { OwnedRow } from "../../dify/owned/index.ts";
import type { Call } from "../../pipeline/call.ts";
import type { RelayDeps } from "../../pipeline/deps.ts";
import type { Failure } from "../../pipeline/failure.ts";
import type { AnswerKind, Dialect, EncodedRequest, EndedAnswer, Made, ReadResult, WholeResult } from "../../pipeline/format.ts";
import { asObject, boolean, checkFields, refuse, text, type Check } from "../checks.ts";
import { noStream } from "../noStream.ts";
import { readObject } from "../whole.ts";
import { inBandFailure, readError } from "./errors.ts";
import { AppRequest } from "./request.ts";

const NOTHING: EncodedRequest = { body: Buffer.alloc(0), contentType: "application/json" };
const query = (user: string): string => `?user=${encodeURIComponent(user)}`;

/** What Dify asks its own model beside a conversation, and never tells the tokens of; they are counted by these rules. */
interface Aside {
  /** Dify's instructions, about. */
  instructions: number;
  /** The most it reads of the conversation. */
  mostContext: number;
  /** The most it lets its model say. */
  mostOutput: number;
}

/** https://github.com/langgenius/dify: memory of 3000 tokens, 256 tokens of answer. */
const QUESTIONS: Aside = { instructions: 150, mostContext: 3_000, mostOutput: 256 };
const TITLE: Aside = { instructions: 700, mostContext: 1_000, mostOutput: 100 };
const NONE: Aside = { instructions: 0, mostContext: 0, mostOutput: 0 };

/** A small call of the app's model about a thing that is there. Its tokens are counted by us, as nobody tells them. */
abstract class AsideRequest extends AppRequest {
  readonly answer: AnswerKind = "whole";
  override readonly outputCap: number;
  protected override readonly seesWhole = true;
  readonly #aside: Aside;

  constructor(thing: AppRequest["things"][number], aside: Aside) {
    super({ things: [thing] });
    this.#aside = aside;
    this.outputCap = aside.mostOutput;
  }

  protected override take([row]: readonly OwnedRow[], call: Call): void {
    call.carriedTokens = Math.min(this.#aside.mostContext, (row?.inputTokens ?? 0) + (row?.outputTokens ?? 0));
  }

  protected countOwn(): number {
    return this.#aside.instructions;
  }

  /** The answer, of which `wordsOf` the model has said. */
  protected read(body: Buffer, wordsOf: (fields: Record<string, unknown>) => unknown): WholeResult {
    const read = readObject(body, "Dify's", inBandFailure);
    if (!read.ok) return read;
    if (typeof read.fields["code"] === "string") return { ok: false, failure: inBandFailure(read.fields) };
    const words = JSON.stringify(wordsOf(read.fields) ?? "");
    return {
      ok: true,
      usage: undefined,
      unreadableUsage: false,
      count: (tokenizer, budget) => ({
        content: true,
        tokens: this.outputCap === 0 ? 0 : Math.min(this.outputCap, tokenizer.count(words, budget)),
      }),
    };
  }
}

/** Questions that might come next. */
export class SuggestedRequest extends AsideRequest {
  readonly #id: string;

  constructor(id: string) {
    super({ id, kind: "message", param: "message_id" }, QUESTIONS);
    this.#id = id;
  }

  dialect(): Dialect {
    return {
      path: `/messages/${this.#id}/suggested${query(this.user)}`,
      method: "GET",
      encode: () => NOTHING,
      openStream: noStream,
      readWhole: (body) => this.read(body, (fields) => fields["data"]),
      readError,
    };
  }
}

/** A conversation's name: the caller's, which costs nothing, or one that the app's model makes. */
class NameRequest extends AsideRequest {
  readonly #id: string;
  readonly #body: Record<string, unknown>;

  #row: OwnedRow | undefined;

  constructor(id: string, body: Record<string, unknown>) {
    super({ id, kind: "conversation", param: "conversation_id" }, body["auto_generate"] === true ? TITLE : NONE);
    this.#id = id;
    this.#body = body;
  }

  protected override take(rows: readonly OwnedRow[], call: Call): void {
    super.take(rows, call);
    [this.#row] = rows;
  }

  override async prepare(deps: RelayDeps, call: Call): Promise<Failure | undefined> {
    const refused = await super.prepare(deps, call);
    // Dify keeps the name, whatever is thought of it here.
    if (!refused && deps.guardrail?.withholds) await this.#note(deps, true);
    return refused;
  }

  override async noteMade(deps: RelayDeps, _call: Call, _made: Made, ended?: EndedAnswer): Promise<void> {
    if (ended?.passed && deps.guardrail?.withholds) await this.#note(deps, false);
  }

  async #note(deps: RelayDeps, withheld: boolean): Promise<void> {
    await deps.owned.note([{ ...this.#row!, inputTokens: null, outputTokens: null, withheld }]);
  }

  dialect(): Dialect {
    return {
      path: `/conversations/${this.#id}/name`,
      encode: () => ({ body: Buffer.from(JSON.stringify({ ...this.#body, user: this.user })), contentType: "application/json" }),
      openStream: noStream,
      readWhole: (body) => {
        const read = this.read(body, (fields) => fields["name"]);
        return read.ok ? { ...read, made: { conversation: this.#id } } : read;
      },
      readError,
    };
  }
}

/** Dify takes other values than `true` for a wish to have a name made, which costs what making one costs. */
const NAME_FIELDS: Record<string, Check> = { name: text(1_000), auto_generate: boolean };

/** Reads the parsed body of a request to name a conversation. */
export const readNaming =
  (id: string) =>
  (body: unknown): ReadResult => {
    const read = asObject(body);
    if (!read.ok) return read;
    const problem = checkFields(NAME_FIELDS, read.fields);
    return problem ? refuse(problem) : { ok: true, request: new NameRequest(id, read.fields) };
  };
