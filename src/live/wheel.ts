import { compareIds } from "./ids.ts";
import { saying } from "./message.ts";
import type { CutReason, Peer } from "./peer.ts";

export const HEARTBEAT_SECONDS = 25;

/** Gives every socket its heartbeat in its turn: one timer for all of them. */
export interface Wheel {
  add(peer: Peer): void;
  remove(peer: Peer): void;
  stop(): void;
}

/** The id that a client which has seen everything so far may go on from. */
function positionOf(peer: Peer, lastId: string): string | null {
  if (!peer.live) return peer.from ?? null;
  return peer.from !== undefined && compareIds(lastId, peer.from) < 0 ? peer.from : lastId;
}

/**
 * Sends a ping and a message that scripts in browsers see, each `seconds`; a socket from which nothing came since the last one is ended:
 * its other side is gone.
 */
export function createWheel(deps: {
  send(peer: Peer, text: string): void;
  cut(peer: Peer, reason: CutReason): void;
  lastId(): string;
  /** Milliseconds of one of the wheel's turns; a second. */
  turnMs?: number;
}): Wheel {
  const slots = Array.from({ length: HEARTBEAT_SECONDS }, () => new Set<Peer>());
  let now = 0;
  let next = 0;

  function beat(peer: Peer): void {
    if (!peer.heard) {
      deps.cut(peer, "silent");
      // Nobody is there to take the close.
      peer.ws.terminate();
      return;
    }
    peer.heard = false;
    if (peer.ws.readyState === peer.ws.OPEN) peer.ws.ping();
    deps.send(peer, saying("heartbeat", {}, positionOf(peer, deps.lastId())));
  }

  const timer = setInterval(() => {
    now = (now + 1) % HEARTBEAT_SECONDS;
    for (const peer of slots[now]!) beat(peer);
  }, deps.turnMs ?? 1_000);
  timer.unref();

  return {
    add(peer) {
      // Wherever one begins, its first heartbeat is a whole turn away at most; sockets that came together are spread.
      peer.slot = next = (next + 1) % HEARTBEAT_SECONDS;
      slots[peer.slot]!.add(peer);
    },
    remove: (peer) => void slots[peer.slot]!.delete(peer),
    stop: () => clearInterval(timer),
  };
}
