import type { TokenClasses, Units } from "../../pricing/index.ts";
import { difyMessageKey, type UsageEvent } from "../../usage/index.ts";
import { newBudget } from "../tokens/index.ts";
import { attemptsOf } from "./attempts.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import type { Delivered, Made, Usage } from "./format.ts";
import { pricesTokens } from "./meters.ts";

/** Tokens of a call and where they come from. */
export interface Tally {
  tokens: TokenClasses;
  units?: Units | undefined;
  estimated: boolean;
  /** What the provider made, where that is more than the caller is charged for. */
  made?: TokenClasses;
}

export const NO_TOKENS: TokenClasses = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 };

/** What the record has room for. A query that is read with each of thousands of documents may count more. */
const MOST_ESTIMATED = 2_147_483_647;

/** How many there are, of all classes. */
export const allTokens = ({ input, cachedInput, cacheWrite, cacheWriteLong, output, reasoning }: TokenClasses): number =>
  input + cachedInput + cacheWrite + (cacheWriteLong ?? 0) + output + reasoning;

/** What the provider says it used. */
export const reported = (usage: Usage): Tally => ({ tokens: usage.tokens, units: usage.units, estimated: false });

/**
 * What a provider said before the end, of an answer that was left: some say it with the first chunk alone, before there is any output.
 * When much more was delivered than it said, that counts; a little more is only another way to count.
 */
export function soFar(said: Tally, delivered: Tally): Tally {
  const { output, reasoning } = said.tokens;
  if (delivered.tokens.output <= 2 * (output + reasoning)) return said;
  return { ...said, tokens: { ...said.tokens, output: delivered.tokens.output - reasoning }, estimated: true };
}

/** What a provider said at the end. Where it was stopped for a client that left, and all of that is far less than was made, that counts. */
export function unlessLess(call: Call, said: Tally, delivered: Tally): Tally {
  return call.leftMs !== undefined && delivered.tokens.output > 2 * allTokens(said.tokens) ? delivered : said;
}

/**
 * Tokens as we count them when the provider did not: the prompt, with what was `added` to it out of our sight, and what was delivered. Never
 * above the cap of request or model, and never more than the hold pays for.
 */
export function counted(deps: Pick<RelayDeps, "pricing">, call: Call, delivered: Delivered, added = 0): Tally {
  const { pricing } = deps;
  const units = delivered.units ?? call.request!.units;
  // Where nothing is priced by tokens there is nothing to estimate.
  if (delivered.units && !pricesTokens(call.price!)) return { tokens: NO_TOKENS, units, estimated: false };
  const multiplier = call.priceMultiplier;
  const prompt = delivered.prompt ? { ...delivered.prompt } : { ...NO_TOKENS };
  if (!delivered.prompt || delivered.promptToo) prompt.input += call.promptTokens + added;
  const made = { ...prompt, output: delivered.tokens };
  const tokens = { ...prompt, output: Math.min(delivered.tokens, call.outputLimit) };
  if (pricing.cost(call.price!, tokens, units, multiplier) > call.held) {
    const expected = { inputTokens: inputOf(prompt), safetyPercent: 100, units, multiplier };
    const affordable = pricing.affordableOutput(call.price!, expected, call.held);
    tokens.output = Math.max(0, Math.min(tokens.output, affordable));
  }
  return { tokens, units, estimated: true, ...(made.output > tokens.output ? { made } : {}) };
}

const inputOf = (tokens: TokenClasses): number => tokens.input + tokens.cachedInput + tokens.cacheWrite + (tokens.cacheWriteLong ?? 0);

/** What was seen of a call that costs nothing, for the record. */
export function seen(deps: Pick<RelayDeps, "pricing" | "tokenizer">, call: Call): Tally {
  const usage = call.reader?.usage ?? call.usage;
  if (usage) return reported(usage);
  if (call.reader?.hasContent()) return counted(deps, call, call.reader.count(deps.tokenizer, newBudget()));
  return { tokens: NO_TOKENS, estimated: false };
}

/**
 * By what a message is charged once, and whether more of it may come: when its run goes on after a pause, or what it used is told after
 * its client left (`early`). A part that used nothing between two pauses is no part of its own.
 */
function messageOf(made: Made | undefined, tokens: number, early: boolean): Pick<UsageEvent, "messageKey" | "messagePausedAt"> {
  if (made?.charge === undefined || (made.paused && made.settled !== undefined && tokens === 0)) return { messageKey: null };
  const more = made.paused || early;
  return { messageKey: difyMessageKey(made.charge), ...(more ? { messagePausedAt: (made.settled ?? 0) + tokens } : {}) };
}

/** The durable record of a call. */
export function usageEvent(
  call: Call,
  tally: Tally,
  end: { status: UsageEvent["status"]; errorCode: string | null; errorClass: string | null; httpStatus: number },
): UsageEvent {
  const { principal, keyId, tokenId } = call.caller!;
  const retries = Number(call.req.headers["x-stainless-retry-count"] ?? 0);
  return {
    id: call.id,
    requestId: call.traceId,
    userId: principal.userId,
    walletId: principal.walletId,
    keyId,
    tokenId,
    cache: call.cached ? "hit" : null,
    model: call.model!.name,
    providerId: call.candidate?.provider.id ?? null,
    providerName: call.candidate?.provider.name ?? null,
    route: call.format.route,
    priceVersionId: call.price!.id,
    priceMultiplier: call.priceMultiplier,
    tokens: tally.tokens,
    units: tally.units ?? null,
    estimated: tally.estimated,
    ...end,
    startedAt: call.startedAt,
    firstChunkMs: call.firstByteMs === null ? null : call.firstByteMs - call.startedMs,
    durationMs: performance.now() - call.startedMs,
    clientIp: call.ip || null,
    retryCount: Number.isInteger(retries) && retries >= 0 && retries <= 100 ? retries : 0,
    stream: call.request!.answer === "stream",
    upstreamRequestId: call.upstreamRequestId,
    attempts: attemptsOf(call, tally, end),
    ...messageOf(call.made, allTokens(tally.tokens), tally.estimated && end.status === "client_gone"),
    estimatedInputTokens: Math.min(call.promptTokens, MOST_ESTIMATED),
    countedTokens: call.quotaWeight === undefined ? undefined : allTokens(tally.tokens) * call.quotaWeight,
  };
}
