import type { ActivityEvent } from "../event.ts";

/** A row of activity_events, as it is inserted. */
export interface StoredEvent {
  id: string;
  at: string;
  kind: ActivityEvent["kind"];
  user_id: string | null;
  actor_id: string | null;
  request_id: string | null;
  ip: string | null;
  /** How many alike it stands for. */
  times: number;
  /** What the kind has beyond that, as JSON. */
  facts: string;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Calls that were served have a record of their own (usage), and their charge is in it. */
export const isStored = ({ kind }: ActivityEvent): boolean => kind !== "call.ended" && kind !== "call.settled";

/** What makes failures alike: whoever repeats one a thousand times a second gets one row, not a thousand. Undefined for what stands alone. */
function likeness(event: ActivityEvent): string | undefined {
  if (event.kind === "call.refused")
    return ["refused", event.user_id, event.ip, event.key_id, event.error_code, event.route, event.model].join(" ");
  if (event.kind === "sign_in" && event.result === "failure")
    return ["sign_in", event.user_id, event.ip, event.method, event.reason].join(" ");
  return undefined;
}

const known = (id: string | null): string | null => (id !== null && UUID.test(id) ? id : null);

function rowOf(event: ActivityEvent): StoredEvent {
  const { v: _v, id, at, kind, user_id, request_id, ip, ...facts } = event;
  return {
    id,
    at,
    kind,
    user_id: known(user_id),
    actor_id: known(event.kind === "operator.acted" ? event.actor_id : null),
    request_id,
    ip,
    times: 1,
    // The one character that jsonb cannot hold.
    facts: JSON.stringify(facts).replaceAll("\\u0000", ""),
  };
}

/** The rows of some events, failures alike in one. */
export function rowsOf(events: readonly ActivityEvent[]): StoredEvent[] {
  const rows: StoredEvent[] = [];
  const alike = new Map<string, StoredEvent>();
  for (const event of events) {
    const like = likeness(event);
    const same = like === undefined ? undefined : alike.get(like);
    if (same) {
      same.times += 1;
      continue;
    }
    const row = rowOf(event);
    rows.push(row);
    if (like !== undefined) alike.set(like, row);
  }
  return rows;
}
