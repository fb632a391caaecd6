import { createHash } from "node:crypto";
import type { Logger } from "../../platform/logger.ts";
import type { Redis } from "../../platform/redis.ts";
import type { Call } from "../pipeline/call.ts";
import type { Usage } from "../pipeline/format.ts";

/** Redis is asked before a provider is: a call does not wait for it longer than this. */
const PATIENCE_MS = 100;
/** Larger answers are not kept. */
const ANSWER_LIMIT = 1024 * 1024;

/** A complete answer as it was given before. */
export interface CachedAnswer {
  /** All of it: a body, or the events of a stream with its last. */
  bytes: Buffer;
  contentType: string;
  usage: Usage;
}

/** Answers that were given before, for callers whose key asks for that. Exact match, within one account or end-user token; lives in Redis alone. */
export interface AnswerCache {
  /** What the key of this call, whose parsed body this is, was answered before. Notes on the call where its answer is to be kept. */
  find(call: Call, body: unknown): Promise<CachedAnswer | undefined>;
  /** Keeps the answer of a call that {@link AnswerCache.find} has noted. Best effort, never waited for. */
  keep(call: Call, usage: Usage, last: Buffer): void;
}

/** Everything that the answer depends on. An account never meets another one's answers, nor an end-user token those of keys and other tokens. */
function placeOf(call: Call, body: unknown): string {
  const { headers } = call.req;
  const parts = [
    call.caller!.principal.userId,
    call.caller!.tokenId,
    call.format.route,
    call.model!.name,
    call.request!.answer,
    headers["anthropic-version"] ?? "",
    headers["anthropic-beta"] ?? "",
    headers["openai-beta"] ?? "",
    JSON.stringify(body),
  ];
  const hash = createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
  return `tk:{u:${call.caller!.principal.userId}}:answer:${hash}`;
}

/** Tells a client, or a proxy for it, that an old answer is not wanted. */
function wantsFresh(call: Call): { read: boolean; write: boolean } {
  const said = String(call.req.headers["cache-control"] ?? "");
  return { read: !/no-cache|no-store/i.test(said), write: !/no-store/i.test(said) };
}

interface Stored {
  type: string;
  usage: Usage;
  bytes: string;
}

export function createAnswerCache(deps: { redis: Redis; log: Logger }): AnswerCache {
  const { redis, log } = deps;

  async function read(place: string): Promise<CachedAnswer | undefined> {
    if (redis.status !== "ready") return undefined;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<null>((resolve) => (timer = setTimeout(resolve, PATIENCE_MS, null)));
    try {
      const text = await Promise.race([redis.get(place), patience]);
      if (text === null) return undefined;
      const { type, usage, bytes } = JSON.parse(text) as Stored;
      return { contentType: type, usage, bytes: Buffer.from(bytes, "base64") };
    } catch (error) {
      log.warn({ err: error }, "the cache of answers could not be read");
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    async find(call, body) {
      if (call.caller!.cacheSeconds === null || !call.format.cacheable) return undefined;
      const { read: mayRead, write: mayWrite } = wantsFresh(call);
      const place = placeOf(call, body);
      if (mayWrite) call.toCache = { place, parts: [], bytes: 0 };
      const found = mayRead ? await read(place) : undefined;
      call.answer.headers.push("x-tollkeeper-cache", found ? "hit" : "miss");
      return found;
    },
    keep(call, usage, last) {
      const { toCache: kept } = call;
      if (!kept || kept.bytes + last.length > ANSWER_LIMIT || redis.status !== "ready") return;
      const type = call.request!.answer === "whole" ? (call.contentType ?? "application/json") : "text/event-stream; charset=utf-8";
      const stored: Stored = { type, usage, bytes: Buffer.concat([...kept.parts, last]).toString("base64") };
      redis
        .set(kept.place, JSON.stringify(stored), "EX", call.caller!.cacheSeconds!)
        .catch((error: unknown) => log.warn({ err: error }, "an answer could not be kept"));
    },
  };
}

/** Notes bytes of a stream that is to be kept; one that grows too large is let go. */
export function gather(call: Call, bytes: Buffer): void {
  const { toCache: kept } = call;
  if (!kept) return;
  kept.bytes += bytes.length;
  if (kept.bytes > ANSWER_LIMIT) call.toCache = undefined;
  else kept.parts.push(bytes);
}
