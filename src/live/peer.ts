import type { WebSocket } from "ws";
import type { Room } from "./room.ts";

/** Why we end a connection, with the close code of each (RFC 6455, 7.4: from 4000 on they are our own). */
export const CUTS = {
  /** This copy stops; another one goes on. */
  shutdown: 1001,
  /** The session has ended, or its user may not sign in any more. */
  signed_out: 4401,
  /** It does not answer heartbeats. */
  silent: 4408,
  /** It does not take what it is sent. */
  slow: 4413,
  /** It sends too much. */
  too_many_messages: 4429,
  /** Redis is away. */
  unavailable: 4503,
} as const;
export type CutReason = keyof typeof CUTS;

/** One open WebSocket: no more than what all of its life needs, because there are thousands. */
export interface Peer {
  readonly ws: WebSocket;
  readonly room: Room;
  readonly sessionId: string;
  topics: ReadonlySet<string>;
  /** It has caught up and is sent what comes. */
  live: boolean;
  /** It has everything up to here; undefined while a new one has not been told where now is. */
  from: string | undefined;
  /** Something came from it since the last heartbeat. */
  heard: boolean;
  /** The turn of the wheel in which it gets its heartbeat. */
  slot: number;
  /** Messages that it may send, and when that was so. */
  credit: number;
  creditAtMs: number;
  /** It was told to go. */
  cut: boolean;
}
