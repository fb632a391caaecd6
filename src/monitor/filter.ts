import type { ActivityEvent } from "../activity/index.ts";

/** What a listener wants to see; everything where it says nothing. Rates and state are always of everything. */
export interface MonitorFilter {
  user?: string | undefined;
  model?: string | undefined;
  /** How calls ended: ok, client_gone, failed or refused. Leaves only those. */
  status?: string | undefined;
  kind?: readonly string[] | undefined;
}

/** Listeners who want the same share one message. Empty for those who want everything. */
export function filterKey({ user, model, status, kind }: MonitorFilter): string {
  if (!user && !model && !status && !kind) return "";
  return JSON.stringify([user, model?.toLowerCase(), status, kind && [...kind].sort()]);
}

function statusOf(event: ActivityEvent): string | undefined {
  if (event.kind === "call.ended") return event.outcome;
  return event.kind === "call.refused" ? "refused" : undefined;
}

export function matches(filter: MonitorFilter, event: ActivityEvent): boolean {
  if (filter.user !== undefined && event.user_id !== filter.user) return false;
  if (filter.model !== undefined && !("model" in event && event.model?.toLowerCase() === filter.model.toLowerCase())) return false;
  if (filter.status !== undefined && statusOf(event) !== filter.status) return false;
  return filter.kind === undefined || filter.kind.includes(event.kind);
}
