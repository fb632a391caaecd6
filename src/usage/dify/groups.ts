import { addsUp } from "./corrected.ts";
import type { DifyMessage } from "./message.ts";

/** A message_end event on its way in. */
export interface Delivery {
  message: DifyMessage;
  traceId: string;
  receivedAt: Date;
  /** `performance.now()` of its first byte. */
  startMs: number;
}

/** A delivery in a batch; `id` is the kept event's if it comes first. */
export interface Item extends Delivery {
  id: string;
}

/** Deliveries of a batch that get one answer. */
export interface Group {
  leader: Item;
  /** The leader among them. */
  members: Item[];
}

/** Of one batch: each message once, and who waits for its answer with it. */
export function groupsOf(batch: readonly Item[]): Group[] {
  const groups: Group[] = [];
  const known = new Map<string, Group>();
  for (const item of batch) {
    const [message, request] = [`m${item.message.messageId}`, `r${item.message.requestId}`];
    const same = known.get(message);
    const found = same ?? known.get(request);
    const group = found ?? { leader: item, members: [] };
    group.members.push(item);
    if (!found) groups.push(group);
    // What adds up goes before what does not.
    if (item.message.messageId === group.leader.message.messageId && addsUp(item.message) && !addsUp(group.leader.message))
      group.leader = item;
    // Another message under a request id that was used is answered with the first; its own message may come rightly yet.
    if (same || !found) {
      known.set(message, group);
      if (!known.has(request)) known.set(request, group);
    }
  }
  return groups;
}
