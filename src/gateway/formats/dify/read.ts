import type { AnswerKind, Dialect, ReadResult } from "../../pipeline/format.ts";
import type { Budget, Tokenizer } from "../../tokens/index.ts";
import type { OwnedRow } from "../../dify/owned/index.ts";
import type { Call } from "../../pipeline/call.ts";
import type { RelayDeps } from "../../pipeline/deps.ts";
import type { Failure } from "../../pipeline/failure.ts";
import { asObject, checkFields, object, oneOf, refuse, text, type Check, type Fields, type Problem } from "../checks.ts";
import { agentRefuses } from "./gathered.ts";
import { DifyDialect, isAgent } from "./native.ts";
import { AppRequest } from "./request.ts";
import type { StreamKind } from "./stream.ts";
import { thingsIn } from "./things.ts";

/** A picture costs 1,600 tokens at most with most vendors; other files are read as far as the app wants. */
const PER_FILE = 1_600;
const MOST_FILES = 100;

const files: Check = (value) =>
  Array.isArray(value) && value.length <= MOST_FILES ? undefined : `must be a list of at most ${MOST_FILES} files`;

const FIELDS: Record<string, Check> = {
  model: text(200),
  query: text(10_000_000),
  inputs: object,
  response_mode: oneOf("blocking", "streaming"),
  conversation_id: text(128),
  parent_message_id: text(128),
  files,
};

/** What is particular to a route. */
export interface AppRoute {
  path: string;
  kind: StreamKind;
  /** Under which a task is stopped. */
  stopUnder: string;
  /** It must have a query. */
  asks: boolean;
}

/** A validated call of a Dify app. Known fields are checked, unknown ones pass to Dify as they are; `user` is never the caller's. */
export class DifyRequest extends AppRequest {
  readonly answer: AnswerKind;
  readonly route: AppRoute;
  /** As the client sent it. */
  readonly body: Readonly<Fields>;

  constructor(body: Fields, route: AppRoute) {
    super({ named: (body["model"] as string | null | undefined) || undefined, things: thingsIn(body) });
    this.body = body;
    this.route = route;
    this.answer = body["response_mode"] === "streaming" ? "stream" : "whole";
  }

  override async prepare(deps: RelayDeps, call: Call): Promise<Failure | undefined> {
    return (await super.prepare(deps, call)) ?? (this.answer === "whole" && isAgent(this.model) ? agentRefuses() : undefined);
  }

  protected override take(rows: readonly OwnedRow[], call: Call): void {
    const conversation = rows.find(({ kind }) => kind === "conversation");
    // What was said before is part of the prompt.
    call.carriedTokens = (conversation?.inputTokens ?? 0) + (conversation?.outputTokens ?? 0);
  }

  protected countOwn(tokenizer: Tokenizer, budget: Budget): number {
    const { query, inputs, files: attached } = this.body;
    let tokens = typeof query === "string" ? tokenizer.count(query, budget) : 0;
    for (const value of Object.values((inputs as Fields | null | undefined) ?? {}))
      tokens += tokenizer.count(typeof value === "string" ? value : (JSON.stringify(value) ?? ""), budget);
    return tokens + (Array.isArray(attached) ? attached.length * PER_FILE : 0);
  }

  dialect(): Dialect {
    return new DifyDialect(this);
  }
}

function checkQuery(fields: Fields): Problem | undefined {
  return typeof fields["query"] === "string" ? undefined : { param: "query", message: "is required" };
}

/** Reads the parsed body of a call of an app. */
export const readCall =
  (route: AppRoute) =>
  (body: unknown): ReadResult => {
    const read = asObject(body);
    if (!read.ok) return read;
    const problem = checkFields(FIELDS, read.fields) ?? (route.asks ? checkQuery(read.fields) : undefined);
    return problem ? refuse(problem) : { ok: true, request: new DifyRequest(read.fields, route) };
  };
