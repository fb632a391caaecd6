import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "../platform/redis.ts";
import { readBehind } from "./behind.ts";
import { compareIds } from "./ids.ts";
import { saying, textOf } from "./message.ts";
import type { HubMetrics } from "./metrics.ts";
import type { CutReason, Peer } from "./peer.ts";
import type { Room } from "./room.ts";
import { wants } from "./topics.ts";

/** Events read at once for one that comes back. */
const PAGE = 200;
/** Sockets that read at the same time: all of them come back when Redis does. */
const AT_ONCE = 32;
/** Bytes that wait for one while it reads; no more are sent before it has taken them. */
const BREATH = 32 * 1024;
/** How long one may take to take a page before it counts as slow. */
const PATIENCE_MS = 10_000;
/** While Redis is away one that reads tries again so often, in so long. */
const AGAIN_MS = 250;
const TRIES = 40;

export interface CatchUp {
  /** Brings a socket to where this copy is; then it is live. */
  begin(peer: Peer): void;
}

export function createCatchUp(deps: {
  redis: Redis;
  metrics: Pick<HubMetrics, "resumed" | "sent">;
  send(peer: Peer, text: Buffer | string): void;
  cut(peer: Peer, reason: CutReason): void;
  /** The last event that this copy has heard for a room. */
  lastIdOf(room: Room): string;
  /** How often this copy has begun to hear anew. */
  begun(): number;
}): CatchUp {
  const { redis, metrics, send, cut } = deps;
  const queue: Peer[] = [];
  let running = 0;

  const gone = (peer: Peer): boolean => peer.cut || peer.ws.readyState !== peer.ws.OPEN;

  /** Resolves when the client has taken what it was sent; cuts one that does not. */
  async function taken(peer: Peer): Promise<void> {
    const until = Date.now() + PATIENCE_MS;
    while (peer.ws.bufferedAmount > 0 && !gone(peer)) {
      if (Date.now() > until) return cut(peer, "slow");
      await delay(5);
    }
  }

  async function bring(peer: Peer): Promise<void> {
    await peer.room.heard;
    const resumed = peer.from !== undefined;
    let missed = false;
    while (!gone(peer)) {
      const begun = deps.begun();
      const { gap, position, events, complete } = await readBehind(redis, peer.room.userId, peer.from ?? "", PAGE);
      if (gone(peer)) return;
      if (gap) {
        missed = true;
        send(peer, saying("gap", { reason: gap, from: peer.from }, position));
      }
      for (const event of events) {
        if (!wants(peer.topics, event.topic)) continue;
        if (peer.ws.bufferedAmount > BREATH) await taken(peer);
        send(peer, textOf(event));
        metrics.sent.add();
      }
      peer.from = gap || peer.from === undefined ? position : (events.at(-1)?.id ?? peer.from);
      // Nothing was heard beyond what was read, and everything since then was: from here on what is heard comes next.
      if (complete && begun === deps.begun() && compareIds(deps.lastIdOf(peer.room), peer.from) <= 0) break;
      await taken(peer);
    }
    if (gone(peer)) return;
    peer.live = true;
    if (resumed) metrics.resumed(missed ? "gap" : "complete");
    send(peer, saying("ready", { resumed, complete: !missed }, peer.from));
  }

  async function attempt(peer: Peer): Promise<void> {
    for (let tries = 0; !gone(peer); tries++) {
      try {
        return await bring(peer);
      } catch {
        if (tries >= TRIES) return cut(peer, "unavailable");
        await delay(AGAIN_MS);
      }
    }
  }

  async function work(): Promise<void> {
    running += 1;
    for (let peer = queue.shift(); peer; peer = queue.shift()) await attempt(peer);
    running -= 1;
  }

  return {
    begin(peer) {
      queue.push(peer);
      if (running < AT_ONCE) void work();
    },
  };
}
