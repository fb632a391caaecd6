import { ONE, type TokenClasses, type Units } from "../pricing/index.ts";
import { attemptJson, upstreamTotal, type UpstreamAttempt } from "./attempts.ts";

/** One relayed call as the relay saw it end. `id` is the call's id, its hold's id and the idempotency key of its charge. */
export interface UsageEvent {
  id: string;
  /** The trace id the caller was told (X-Request-ID); the call's id when there is none. */
  requestId?: string | null;
  userId: string;
  teamId?: string | null;
  walletId: bigint;
  keyId: string | null;
  model: string;
  providerId: string | null;
  providerName: string | null;
  route: string;
  /** The price in force when the call began; settlement uses this one whatever changed since. */
  priceVersionId: bigint | null;
  /** What the price is multiplied by, in millionths, as at the call's beginning; one when left out. */
  priceMultiplier?: number;
  tokens: TokenClasses;
  /** What is priced per one besides tokens: images, seconds, characters. */
  units?: Units | null;
  status: "ok" | "failed" | "client_gone";
  errorCode: string | null;
  /** The kind of failure an operator groups by, e.g. "timeout", "network". */
  errorClass?: string | null;
  estimated: boolean;
  startedAt: Date;
  firstChunkMs: number | null;
  durationMs: number;
  httpStatus: number;
  clientIp: string | null;
  retryCount: number;
  stream: boolean;
  upstreamRequestId: string | null;
  /** Every request to a provider, in their order. The last one's tokens are the call's unless it says otherwise. */
  attempts?: readonly UpstreamAttempt[];
  /** What the hold took the prompt for. */
  estimatedInputTokens?: number | null;
  /** The end-user token the call was made with. */
  tokenId?: string | null;
  /** How our own cache served the call; null when it did not. */
  cache?: "hit" | null;
  /** Its tokens as quotas count them, in hundredths; undefined when none counts them. */
  countedTokens?: number | undefined;
  /** Of a message that somebody else may report too; see difyMessage.ts. It is charged for the first event that has its key. */
  messageKey?: string | null;
  /** The tokens that the message has had so far, when its run paused: what comes after that is recorded under a key of its own. */
  messagePausedAt?: number | null;
}

/** Route of what was reported after the fact: it never had a hold. */
export const REPORTED = "/api/dify/webhook";

/** Routes of Dify's apps, under which everything runs that no provider can be told a cap for. */
const DIFY_ROUTES = "/dify/";

/** Whether calls of a route may use more than was held for them, with nobody able to stop them there: what they cost is owed all the same. */
export const isUncapped = (route: string): boolean => route === REPORTED || route.startsWith(DIFY_ROUTES);

/** The settlement shard of a wallet: stable for a given number of shards, spread evenly over consecutive ids (Fibonacci hashing). */
export function shardOf(walletId: bigint, shards: number): number {
  const hash = Number(BigInt.asUintN(32, walletId * 2_654_435_769n));
  return Math.floor((hash / 2 ** 32) * shards);
}

/** An event as the JSON object that the SQL functions of the migration read. bigints travel as text. `clientIp`: what is kept of the address. */
export function eventJson(event: UsageEvent, shard: number, clientIp = event.clientIp): string {
  const upstream = event.attempts && upstreamTotal(event.attempts);
  return JSON.stringify({
    id: event.id,
    created_at: event.startedAt,
    request_id: event.requestId ?? event.id,
    shard,
    user_id: event.userId,
    team_id: event.teamId,
    wallet_id: event.walletId.toString(),
    key_id: event.keyId,
    model: event.model,
    provider_id: event.providerId,
    provider_name: event.providerName,
    upstream_request_id: event.upstreamRequestId,
    route: event.route,
    stream: event.stream,
    price_version_id: event.priceVersionId?.toString(),
    price_multiplier: event.priceMultiplier ?? ONE,
    input_tokens: event.tokens.input,
    cached_input_tokens: event.tokens.cachedInput,
    cache_write_tokens: event.tokens.cacheWrite,
    cache_write_long_tokens: event.tokens.cacheWriteLong ?? 0,
    output_tokens: event.tokens.output,
    reasoning_tokens: event.tokens.reasoning,
    units: event.units,
    estimated: event.estimated,
    status: event.status,
    http_status: event.httpStatus,
    error_class: event.errorClass,
    error_code: event.errorCode,
    retry_count: event.retryCount,
    first_chunk_ms: event.firstChunkMs === null ? null : Math.round(event.firstChunkMs),
    duration_ms: Math.round(event.durationMs),
    client_ip: clientIp,
    estimated_input_tokens: event.estimatedInputTokens,
    token_id: event.tokenId,
    cache: event.cache,
    message_key: event.messageKey ?? undefined,
    message_paused_at: event.messagePausedAt ?? undefined,
    attempts: event.attempts?.map(attemptJson),
    upstream_cost: upstream?.cost.toString(),
    upstream_currency: upstream?.currency,
  });
}
