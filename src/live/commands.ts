import { z } from "zod";
import { saying } from "./message.ts";
import type { CutReason, Peer } from "./peer.ts";
import { MOST_TOPICS, type Topics } from "./topics.ts";

/** A client may send so many messages at once, and so many a second after that. */
const BURST = 30;
const PER_SECOND = 5;
/** Bytes of one message of a client. */
export const MOST_BYTES = 8 * 1024;

const topics = z.array(z.string().min(1).max(100)).min(1).max(MOST_TOPICS);
const command = z.discriminatedUnion("action", [
  z.strictObject({ action: z.literal("subscribe"), topics }),
  z.strictObject({ action: z.literal("unsubscribe"), topics }),
  z.strictObject({ action: z.literal("ping") }),
]);

export interface Commands {
  /** Takes one message of a client. */
  take(peer: Peer, text: string): void;
  /** Counts anything that came; false when it is too much, and the client is cut. */
  count(peer: Peer): boolean;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What clients may ask of their connection. */
export function createCommands(deps: {
  topics: Topics;
  send(peer: Peer, text: string): void;
  cut(peer: Peer, reason: CutReason): void;
}): Commands {
  const { send, cut } = deps;

  const refuse = (peer: Peer, code: string, message: string, more: Record<string, unknown> = {}): void =>
    send(peer, saying("error", { code, message, ...more }));
  const told = (peer: Peer): void => send(peer, saying("subscribed", { topics: [...peer.topics] }));

  async function subscribe(peer: Peer, wanted: readonly string[]): Promise<void> {
    const refused = await deps.topics.refused(peer.room.userId, wanted);
    if (refused !== undefined) return refuse(peer, "not_found", "There is no such topic", { topic: refused });
    const all = new Set([...peer.topics, ...wanted]);
    if (all.size > MOST_TOPICS) return refuse(peer, "validation_failed", `A connection has ${MOST_TOPICS} topics at most`);
    peer.topics = all;
    told(peer);
  }

  return {
    count(peer) {
      const nowMs = Date.now();
      peer.credit = Math.min(BURST, peer.credit + ((nowMs - peer.creditAtMs) / 1_000) * PER_SECOND) - 1;
      peer.creditAtMs = nowMs;
      if (peer.credit >= 0) return true;
      cut(peer, "too_many_messages");
      return false;
    },
    take(peer, text) {
      // Older clients keep their connection open with the bare word.
      if (text === "ping") return send(peer, saying("pong", {}));
      const parsed = command.safeParse(parse(text));
      if (!parsed.success) return refuse(peer, "validation_failed", 'Send {"action": "subscribe" | "unsubscribe" | "ping", "topics": […]}');
      const asked = parsed.data;
      if (asked.action === "ping") return send(peer, saying("pong", {}));
      if (asked.action === "unsubscribe") {
        peer.topics = new Set([...peer.topics].filter((topic) => !asked.topics.includes(topic)));
        return told(peer);
      }
      subscribe(peer, asked.topics).catch(() => refuse(peer, "unavailable", "This cannot be found out right now"));
    },
  };
}

/** What a new connection may send. */
export const freshCredit = (): Pick<Peer, "credit" | "creditAtMs"> => ({ credit: BURST, creditAtMs: Date.now() });
