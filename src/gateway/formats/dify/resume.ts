import type { TokenClasses } from "../../../pricing/index.ts";
import type { OwnedRow } from "../../dify/owned/index.ts";
import type { Call } from "../../pipeline/call.ts";
import type { RelayDeps } from "../../pipeline/deps.ts";
import { failure, type Failure } from "../../pipeline/failure.ts";
import type { AnswerKind, Dialect, EncodedRequest, Made, ReadResult, Redeemed, StreamReader, WholeResult } from "../../pipeline/format.ts";
import { asObject, type Fields } from "../checks.ts";
import { noStream } from "../noStream.ts";
import { readObject } from "../whole.ts";
import { inBandFailure, readError } from "./errors.ts";
import { GatheredStream } from "./gathered.ts";
import { termsOf } from "./openRun.ts";
import { AppRequest } from "./request.ts";
import { DifyStream } from "./stream.ts";

const NOTHING: EncodedRequest = { body: Buffer.alloc(0), contentType: "application/json" };

/** How often, and every how many milliseconds, it is looked whether a run has paused. */
const LOOKS = 20;
const LOOK_MS = 100;

/** What belongs to a run that goes on after a pause: what was charged when it paused is not charged again, and all else is, sooner or later. */
abstract class AfterPause extends AppRequest {
  #settled = { input: 0, output: 0 };
  #paused = false;
  /** It was noted, or is about to be, that this call follows the run. */
  #pledged = false;

  protected abstract readonly run: string;

  protected countOwn(): number {
    return 0;
  }

  protected goOnFrom(row: OwnedRow | undefined): void {
    this.#settled = { input: row?.inputTokens ?? 0, output: row?.outputTokens ?? 0 };
    this.#paused = typeof row?.inputTokens === "number";
  }

  /** What there was before is on record: what comes now is charged apart. */
  protected get paused(): boolean {
    return this.#paused;
  }

  protected override rowsOf(call: Call, made: Made, tokens: TokenClasses | undefined): OwnedRow[] {
    const { input, output } = this.#settled;
    return super.rowsOf(call, made, tokens && { ...tokens, input: tokens.input + input, output: tokens.output + output });
  }

  async pledge(deps: RelayDeps, call: Call): Promise<void> {
    if (!this.#paused) return;
    this.#pledged = true;
    await deps.runs.follow({ owner: this.user, run: this.run }, { ...termsOf(call), callId: call.id });
  }

  override async redeem(deps: RelayDeps, call: Call, how: Redeemed): Promise<boolean> {
    if (!this.#pledged || how === "paused" || how === "counted") return super.redeem(deps, call, how);
    const name = { owner: this.user, run: this.run };
    if (how === "left") return deps.runs.left(name, call.id);
    if (how === "known" || how === "refused") await deps.runs.dropped(name, call.id);
    else if (how === "failed" || !call.made?.paused) await deps.runs.ended(name, call.id);
    return false;
  }

  /** Asks for the events of the run. */
  protected eventsOf(run: string, more: string): Dialect & { openStream(): DifyStream } {
    const parting = { inputPercent: this.settings.inputPercent, settled: this.#settled, resumed: this.#paused };
    return {
      path: `/workflow/${run}/events?user=${encodeURIComponent(this.user)}${more}`,
      method: "GET",
      encode: () => NOTHING,
      openStream: () => new DifyStream("workflow", parting),
      readWhole: (): WholeResult => ({ ok: false, failure: failure("internal_error") }),
      readError,
    };
  }
}

/**
 * The events of such a run, for whoever wants to see them. While another call of the account reads them to their end, that one pays; else
 * this one does, and reads on when its client has left. Whoever leaves stops nothing: the run goes on for all.
 */
export class ResumeRequest extends AfterPause {
  readonly answer: AnswerKind = "stream";
  listens = false;
  protected readonly run: string;
  readonly #query: string;
  #follower: string | undefined;

  constructor(id: string, search: string) {
    super({ things: [{ id, kind: "task", param: "task_id" }] });
    this.run = id;
    this.#query = search;
  }

  get outlives(): boolean {
    return !this.listens;
  }

  protected override take([row]: readonly OwnedRow[]): void {
    this.goOnFrom(row);
    this.#follower = row?.callId ?? undefined;
  }

  override async prepare(deps: RelayDeps, call: Call): Promise<Failure | undefined> {
    const refused = await super.prepare(deps, call);
    if (refused || this.#follower === undefined) return refused;
    this.listens = (await deps.ledger.stillHeld([this.#follower])).length > 0;
    return undefined;
  }

  override noteMade(...args: Parameters<AppRequest["noteMade"]>): Promise<void> {
    return this.listens ? Promise.resolve() : super.noteMade(...args);
  }

  dialect(): Dialect {
    return this.eventsOf(this.run, this.#query);
  }
}

/** An answer to what a run waits for. It goes on then, and what it uses is read from its events, whether or not anybody listens to them. */
class FormRequest extends AfterPause {
  readonly answer: AnswerKind = "whole";
  readonly outlives = true;
  readonly #token: string;
  readonly #body: Fields;
  protected run = "";

  constructor(token: string, body: Fields) {
    super({ things: [{ id: token, kind: "form", param: "form_token" }] });
    this.#token = token;
    this.#body = body;
  }

  protected override take([row]: readonly OwnedRow[]): void {
    this.run = row?.run ?? "";
  }

  override async prepare(deps: RelayDeps, call: Call): Promise<Failure | undefined> {
    const refused = await super.prepare(deps, call);
    if (refused) return refused;
    // Its form is told before its pause is recorded: the end of that stream, which says so, may be a moment away.
    let run: OwnedRow | undefined;
    for (let looks = 0; looks < LOOKS && !this.paused; looks++) {
      if (looks > 0) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      [run] = await deps.owned.find(this.user, [this.run]);
      this.goOnFrom(run);
    }
    if (!run || !this.paused) return failure("validation_failed", { message: "The run has not paused yet" });
    // Before the client has its answer, and may ask for the events.
    await deps.owned.note([{ ...run, inputTokens: null, outputTokens: null, callId: call.id }]);
    return undefined;
  }

  dialect(): Dialect {
    const { model: _ours, ...rest } = this.#body;
    return {
      path: `/form/human_input/${this.#token}`,
      once: true,
      encode: () => ({ body: Buffer.from(JSON.stringify({ ...rest, user: this.user })), contentType: "application/json" }),
      openStream: noStream,
      readWhole: (body): WholeResult => {
        const read = readObject(body, "Dify's", inBandFailure);
        if (!read.ok) return read;
        if (typeof read.fields["code"] === "string") return { ok: false, failure: inBandFailure(read.fields) };
        return { ok: true, usage: undefined, unreadableUsage: false, count: () => ({ content: false, tokens: 0 }), follow: this.#follow() };
      },
      readError,
    };
  }

  #follow(): Dialect {
    const events = this.eventsOf(this.run, "");
    return {
      ...events,
      gathers: true,
      openStream: (): StreamReader => new GatheredStream("workflow", events.openStream(), () => undefined),
    };
  }
}

/** Reads the parsed body of an answer to a form. */
export const readForm =
  (token: string) =>
  (body: unknown): ReadResult => {
    const read = asObject(body);
    return read.ok ? { ok: true, request: new FormRequest(token, read.fields) } : read;
  };
