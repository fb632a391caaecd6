import type { Invalidation } from "../platform/invalidation.ts";
import type { CutReason, Peer } from "./peer.ts";
import type { Room } from "./room.ts";

/** While changes may be missed, and when a look failed, everybody is looked at again so often. */
const AGAIN_MS = 500;
/** Sessions that ended with nobody telling, because their time was over. */
const ALL_EVERY_MS = 60_000;
/** Sessions asked about with one statement. */
const AT_ONCE = 5_000;

/** Ends the connections of those who may not be here any more. */
export interface Standing {
  /** Looks at the sessions of this person. */
  check(userId: string): void;
  stop(): void;
}

/**
 * Looks at a person's sessions whenever something about that person changes, at all when changes may have been missed. While that cannot be found
 * out nobody is sent away.
 */
export function createStanding(deps: {
  rooms: ReadonlyMap<string, Room>;
  invalidation: Pick<Invalidation, "on" | "fresh">;
  /** Those of these sessions that have not ended, of people who may sign in. */
  livingSessions(ids: readonly string[]): Promise<ReadonlySet<string>>;
  cut(peer: Peer, reason: CutReason): void;
}): Standing {
  const { rooms, invalidation, cut } = deps;
  const pending = new Set<string>();
  let running = false;
  let allAtMs = performance.now();

  async function look(users: readonly string[]): Promise<void> {
    const peers = users.flatMap((userId) => [...(rooms.get(userId)?.peers ?? [])]);
    const ids = [...new Set(peers.map(({ sessionId }) => sessionId))];
    const living = new Set<string>();
    for (let i = 0; i < ids.length; i += AT_ONCE) {
      for (const id of await deps.livingSessions(ids.slice(i, i + AT_ONCE))) living.add(id);
    }
    for (const peer of peers) if (!living.has(peer.sessionId)) cut(peer, "signed_out");
  }

  async function run(): Promise<void> {
    if (running) return;
    running = true;
    while (pending.size > 0) {
      const users = [...pending];
      pending.clear();
      try {
        await look(users);
      } catch {
        for (const userId of users) pending.add(userId);
        break;
      }
    }
    running = false;
  }

  function check(userId: string): void {
    if (userId === "*") for (const id of rooms.keys()) pending.add(id);
    else if (rooms.has(userId)) pending.add(userId);
    if (pending.size > 0) void run();
  }

  invalidation.on("user", check);
  const timer = setInterval(() => {
    const due = performance.now() - allAtMs > ALL_EVERY_MS;
    if (due) allAtMs = performance.now();
    if (due || !invalidation.fresh) check("*");
    else if (pending.size > 0) void run();
  }, AGAIN_MS);
  timer.unref();

  return { check, stop: () => clearInterval(timer) };
}
