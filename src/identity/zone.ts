import type { Queryable } from "../platform/postgres.ts";
import { changeZone, type LimitZone } from "../quotas/index.ts";

/** A person's zone as it is kept. */
export interface ZoneRow {
  time_zone: string;
  /** Of a change that does not count yet. */
  zone_before: NonNullable<LimitZone["before"]> | null;
}

/** In whose days and months a person's spend limits are counted. */
export const zoneOf = ({ time_zone: timeZone, zone_before: before }: ZoneRow): LimitZone => (before ? { timeZone, before } : { timeZone });

/** A person's zone after a change, to be written in the same transaction. Changes of one person go one after the other. */
export async function changedZone(tx: Queryable, userId: string, to: string, nowMs: number): Promise<LimitZone> {
  const { rows } = await tx.query<ZoneRow>("SELECT time_zone, zone_before FROM users WHERE id = $1 FOR NO KEY UPDATE", [userId]);
  return changeZone(zoneOf(rows[0]!), to, nowMs);
}
