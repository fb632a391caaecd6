import type { TokenClasses } from "../../../pricing/index.ts";
import type { OwnedRow } from "../../dify/owned/index.ts";
import type { Call } from "../../pipeline/call.ts";
import type { RelayDeps } from "../../pipeline/deps.ts";
import type { Failure } from "../../pipeline/failure.ts";
import type { AnswerKind, Dialect, EndedAnswer, Made, PromptCount, Redeemed, RelayRequest } from "../../pipeline/format.ts";
import { noteMessage } from "../../pipeline/message.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import { namedApp, settingsOf, USUAL_SETTINGS, usualApp, type AppSettings } from "./apps.ts";
import { openRun } from "./openRun.ts";
import { notFound, ownerOf, ownThings } from "./owner.ts";
import type { NamedThing } from "./things.ts";

/** What every charged request to a Dify app has in common: whose it is, which app it means, what of Dify's it builds on. */
export abstract class AppRequest implements RelayRequest {
  /** Of the app; settled by {@link AppRequest.prepare}, as are the next. */
  model = "";
  user = "";
  providerId: string | undefined;
  settings: AppSettings = USUAL_SETTINGS;
  abstract readonly answer: AnswerKind;
  readonly outputCap: number | undefined = undefined;
  readonly choices = 1;
  readonly uncapped = true as const;
  /** Nothing is added to its prompt out of our sight. */
  protected readonly seesWhole: boolean = false;
  /** The app as the body names it. */
  protected readonly named: string | undefined;
  readonly things: readonly NamedThing[];
  #unseen = 0;

  constructor(options: { named?: string | undefined; things?: readonly NamedThing[] }) {
    this.named = options.named;
    this.things = options.things ?? [];
  }

  /** Tokens of the prompt that the request itself shows. */
  protected abstract countOwn(tokenizer: Tokenizer, budget: Budget): number;
  abstract dialect(): Dialect;

  /** Told of the things the request names, which are its owner's. */
  protected take(_rows: readonly OwnedRow[], _call: Call): void {}

  async prepare(deps: RelayDeps, call: Call): Promise<Failure | undefined> {
    this.user = ownerOf(call.caller!);
    const named = this.named ?? namedApp(call.req);
    let app = named;
    if (this.things.length > 0) {
      const rows = await ownThings(deps, this.user, this.things);
      if ("code" in rows) return rows;
      const [first] = rows;
      const meant = named === undefined ? first!.model : ((await deps.pricing.model(named))?.name ?? named);
      if (meant.toLowerCase() !== first!.model.toLowerCase()) return notFound("What the request names");
      app = first!.model;
      this.providerId = first!.providerId;
      this.take(rows, call);
    }
    const chosen = app ?? (await usualApp(deps, call.caller!));
    if (typeof chosen !== "string") return chosen;
    this.model = chosen;
    this.settings = await settingsOf(deps, chosen);
    // What the app adds is in the figures of a conversation's last turn, when they are whole.
    this.#unseen = this.seesWhole ? 0 : Math.max(0, this.settings.unseenTokens - call.carriedTokens);
    return undefined;
  }

  countPrompt(tokenizer: Tokenizer, budget: Budget): PromptCount {
    return { tokens: this.countOwn(tokenizer, budget), unseen: this.#unseen };
  }

  get addedUnseen(): number {
    return this.#unseen;
  }

  async noteMade(deps: RelayDeps, call: Call, made: Made, ended?: EndedAnswer): Promise<void> {
    let rows = this.rowsOf(call, made, ended?.tokens);
    if (ended?.estimated) rows = rows.map((row) => atLeast(row, call.carriedTokens));
    const withheld = ended ? (ended.passed ? false : null) : true;
    if (deps.guardrail?.withholds) rows = rows.map((row) => (this.#shows(row) ? { ...row, withheld } : row));
    const listed = deps.owned.note(rows);
    // At its end its record says whose it is.
    if (!ended) await noteMessage(deps, call, made);
    await listed;
  }

  /**
   * A run that waits for a person is paid for to its end, whoever lets it go on; and one whose client left, when it did not stop. Of a
   * message the webhook tells that, and exactly.
   */
  async redeem(deps: RelayDeps, call: Call, how: Redeemed): Promise<boolean> {
    const run = how === "paused" || how === "counted" ? openRun(call, this.user) : undefined;
    if (run && how === "paused") await deps.runs.paused(run, call.id);
    else if (run && !run.ofMessage) await deps.runs.counted(run, call.id);
    return false;
  }

  /** Whether it can be read elsewhere what this call is answered. A new conversation has a name made of it. */
  #shows({ kind }: OwnedRow): boolean {
    return kind === "message" || kind === "run" || (kind === "conversation" && !this.things.some((thing) => thing.kind === "conversation"));
  }

  /** Whose these are; with `tokens` what the next turn of a conversation builds on. */
  protected rowsOf(call: Call, made: Made, tokens: TokenClasses | undefined): OwnedRow[] {
    const shared = {
      owner: this.user,
      providerId: call.candidate!.provider.id,
      model: call.model!.name,
      inputTokens: tokens?.input ?? null,
      outputTokens: tokens?.output ?? null,
    };
    const rows: OwnedRow[] = [];
    for (const kind of ["conversation", "message", "task", "run"] as const) {
      const id = made[kind];
      if (id === undefined) continue;
      const characters = kind === "message" && tokens ? (call.reader?.characters ?? null) : null;
      const callId = (kind === "task" || kind === "run") && !tokens ? call.id : null;
      rows.push({ ...shared, id, kind, characters, callId });
    }
    for (const id of made.forms ?? []) rows.push({ ...shared, id, kind: "form", run: made.run ?? made.task ?? null });
    return rows;
  }
}

/** What a conversation has grown to stays known when less was only counted. */
function atLeast(row: OwnedRow, carried: number): OwnedRow {
  if (row.kind !== "conversation" || (row.inputTokens ?? 0) + (row.outputTokens ?? 0) >= carried) return row;
  return { ...row, inputTokens: null, outputTokens: null };
}
