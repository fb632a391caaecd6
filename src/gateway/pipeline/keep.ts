import type { KeptRow } from "../answers/index.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import { failure, type Failure } from "./failure.ts";
import type { KeptAnswer, Reference } from "./format.ts";
import type { Tally } from "./tally.ts";

/**
 * Checks that what the request builds on is the caller's own, leaves only the provider that has it, and notes how much it adds to the
 * prompt. One query, and only for requests that build on something.
 */
export async function takeUp(deps: Pick<RelayDeps, "answers">, call: Call, references: readonly Reference[]): Promise<Failure | undefined> {
  const ids = references.map(({ id }) => id);
  const { principal, tokenId } = call.caller!;
  const rows = new Map((await deps.answers.find({ userId: principal.userId, tokenId }, ids)).map((row) => [row.id, row]));
  const missing = references.find(({ id }) => !rows.has(id));
  if (missing) {
    return failure("not_found", { message: `${missing.param}: there is no such thing among what your calls made`, param: missing.param });
  }
  const [first] = references;
  const { providerId } = rows.get(first!.id)!;
  const { param } = references.find(({ id }) => rows.get(id)!.providerId !== providerId) ?? first!;
  call.candidates = call.candidates.filter(({ provider }) => provider.id === providerId);
  if (call.candidates.length === 0 || [...rows.values()].some((row) => row.providerId !== providerId)) {
    return failure("validation_failed", { message: `${param}: is kept by a provider that does not serve this model`, param });
  }
  call.carriedTokens = carried([...rows.values()]);
  return undefined;
}

/** Pieces of one answer share its tokens. */
function carried(rows: readonly KeptRow[]): number {
  const byAnswer = new Map<string, number>();
  for (const row of rows) byAnswer.set(row.responseId, Math.max(byAnswer.get(row.responseId) ?? 0, row.contextTokens));
  let sum = 0;
  for (const tokens of byAnswer.values()) sum += tokens;
  return sum;
}

/** Notes whose answer this is; undefined when the provider keeps nothing. Never rejects: what is not noted can only not be used. */
export function noteKept(deps: Pick<RelayDeps, "answers" | "log">, call: Call, tally: Tally): Promise<void> | undefined {
  const kept = call.reader ? call.reader.kept : call.kept;
  if (!kept || call.request?.keepsAnswer !== true) return undefined;
  return deps.answers.remember(rowsOf(call, kept, tally)).catch((error: unknown) => {
    deps.log.warn({ err: error, trace_id: call.traceId }, "whose answer a provider keeps could not be noted");
  });
}

function rowsOf(call: Call, kept: KeptAnswer, { tokens }: Tally): KeptRow[] {
  const output = tokens.output + tokens.reasoning;
  const all = tokens.input + tokens.cachedInput + tokens.cacheWrite + output;
  const shared = {
    userId: call.caller!.principal.userId,
    tokenId: call.caller!.tokenId,
    responseId: kept.id,
    providerId: call.candidate!.provider.id,
    model: call.model!.name,
  };
  return [{ ...shared, id: kept.id, contextTokens: all }, ...kept.items.map((id) => ({ ...shared, id, contextTokens: output }))];
}
