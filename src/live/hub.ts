import { setImmediate as turn } from "node:timers/promises";
import type { Logger } from "../platform/logger.ts";
import type { Redis } from "../platform/redis.ts";
import { createCatchUp } from "./catchUp.ts";
import { compareIds } from "./ids.ts";
import { copyChannel, EVERYBODY, streamOf } from "./keys.ts";
import { readEvent, textOf, type LiveEvent } from "./message.ts";
import type { HubMetrics } from "./metrics.ts";
import { CUTS, type CutReason, type Peer } from "./peer.ts";
import type { Room } from "./room.ts";
import { createSubscriber } from "./subscriber.ts";
import { wants } from "./topics.ts";

/** Sockets written to in one turn of the event loop; calls get theirs in between. */
const IN_ONE_TURN = 50;

export interface Hub {
  readonly rooms: ReadonlyMap<string, Room>;
  readonly connections: number;
  /** Everything up to here was handed on by this copy. */
  readonly lastId: string;
  /** The room of a person, with this copy listening for it. */
  enter(userId: string, walletId: bigint): Room;
  add(peer: Peer): void;
  remove(peer: Peer): void;
  send(peer: Peer, text: Buffer | string): void;
  cut(peer: Peer, reason: CutReason): void;
  /** Nothing was heard for too long: listens anew. */
  renew(): void;
  /** When this copy heard itself last, by its own monotonic clock. */
  readonly heardAtMs: number;
  stop(): void;
}

export interface HubDeps {
  redis: Redis;
  copy: string;
  /** Bytes that may wait for one client to take them. */
  mostWaiting: number;
  metrics: HubMetrics;
  log: Logger;
}

/** The sockets of this copy. One connection hears for all of them; an event is made once for all sockets that want it. */
export function createHub(deps: HubDeps): Hub {
  const { redis, copy, metrics, log } = deps;
  const rooms = new Map<string, Room>();
  const byChannel = new Map<string, Room>();
  const itself = copyChannel(copy);
  let connections = 0;
  let lastId = "0-0";
  /** Of those told to everybody. */
  let lastOfAll = "0-0";
  let heardAtMs = performance.now();
  let waiting: { channel: string; text: string }[] = [];
  let dispatching = false;
  let begun = 0;

  function cut(peer: Peer, reason: CutReason): void {
    if (peer.cut) return;
    peer.cut = true;
    peer.live = false;
    metrics.cut(reason);
    peer.ws.close(CUTS[reason], reason);
  }

  function send(peer: Peer, text: Buffer | string): void {
    if (peer.cut || peer.ws.readyState !== peer.ws.OPEN) return;
    if (peer.ws.bufferedAmount > deps.mostWaiting) return cut(peer, "slow");
    peer.ws.send(text, { binary: false });
  }

  /** Sends an event to those of a room who want it; answers how many that were. */
  function give(room: Room, event: LiveEvent, text: () => Buffer): number {
    room.lastId = event.id;
    let sent = 0;
    for (const peer of room.peers) {
      if (!peer.live) continue;
      if (peer.from !== undefined && compareIds(event.id, peer.from) <= 0) continue;
      peer.from = event.id;
      if (!wants(peer.topics, event.topic)) continue;
      send(peer, text());
      sent += 1;
    }
    metrics.sent.add(sent);
    return sent;
  }

  async function handOn(channel: string, told: string): Promise<void> {
    if (channel === itself) {
      heardAtMs = performance.now();
      lastId = told;
      return;
    }
    const event = readEvent(told);
    let made: Buffer | undefined;
    const text = (): Buffer => (made ??= Buffer.from(textOf(event)));
    const room = byChannel.get(channel);
    if (room) give(room, event, text);
    else if (channel === EVERYBODY) await giveAll(event, text);
    lastId = event.id;
  }

  async function giveAll(event: LiveEvent, text: () => Buffer): Promise<void> {
    lastOfAll = event.id;
    let sent = 0;
    for (const room of rooms.values()) {
      sent += give(room, event, text);
      if (sent < IN_ONE_TURN) continue;
      sent = 0;
      await turn();
    }
  }

  /** One after the other, so that everybody gets everything in order. */
  async function dispatch(): Promise<void> {
    dispatching = true;
    while (waiting.length > 0) {
      const taken = waiting;
      waiting = [];
      for (const [i, { channel, text }] of taken.entries()) {
        await handOn(channel, text);
        if (i % IN_ONE_TURN === IN_ONE_TURN - 1) await turn();
      }
    }
    dispatching = false;
  }

  const catchUp = createCatchUp({ redis, metrics, send, cut, lastIdOf: (room) => later(room.lastId, lastOfAll), begun: () => begun });

  const subscriber = createSubscriber(redis, {
    onMessage(channel, text) {
      waiting.push({ channel, text });
      if (!dispatching) void dispatch();
    },
    onLost: () => log.warn("live push hears nothing: the connection to redis broke"),
    onBack() {
      begun += 1;
      heardAtMs = performance.now();
      // What was told meanwhile was not heard: everybody reads it from the streams.
      for (const room of rooms.values()) {
        for (const peer of room.peers) {
          if (!peer.live) continue;
          peer.live = false;
          peer.from = later(peer.from ?? lastId, lastId);
          catchUp.begin(peer);
        }
      }
    },
  });
  void subscriber.add(EVERYBODY);
  void subscriber.add(itself);

  return {
    rooms,
    get connections() {
      return connections;
    },
    get lastId() {
      return lastId;
    },
    get heardAtMs() {
      return heardAtMs;
    },
    enter(userId, walletId) {
      const known = rooms.get(userId);
      if (known) return known;
      const channel = streamOf(userId);
      const room: Room = { userId, walletId, peers: new Set(), heard: subscriber.add(channel), lastId: "0-0", wallet: undefined };
      rooms.set(userId, room);
      byChannel.set(channel, room);
      return room;
    },
    add(peer) {
      peer.room.peers.add(peer);
      connections += 1;
      catchUp.begin(peer);
    },
    remove(peer) {
      const { room } = peer;
      if (!room.peers.delete(peer)) return;
      connections -= 1;
      if (room.peers.size > 0) return;
      rooms.delete(room.userId);
      byChannel.delete(streamOf(room.userId));
      subscriber.remove(streamOf(room.userId));
    },
    send,
    cut,
    renew: () => subscriber.renew(),
    stop: () => subscriber.stop(),
  };
}

const later = (a: string, b: string): string => (compareIds(a, b) < 0 ? b : a);
