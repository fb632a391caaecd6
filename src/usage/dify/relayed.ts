import type { Ledger } from "../../ledger/index.ts";
import type { Queryable } from "../../platform/postgres.ts";
import { difyMessageKey } from "../difyMessage.ts";

/** What the relay's side has recorded for a message key. */
export interface Claim {
  messageKey: string;
  /** The usage event that is charged for it. */
  eventId: string;
  eventAt: string;
  /** Its call came to nothing: it costs nothing. */
  free: boolean;
  /** The tokens it had when its run paused; what came after that has the next key. */
  pausedAt: number | null;
}

async function claimsFor(tx: Queryable, keys: readonly string[]): Promise<Claim[]> {
  if (keys.length === 0) return [];
  // Planned each time: a connection keeps the plans of named statements from when the table was small.
  const { rows } = await tx.query<Claim>(
    `SELECT message_key AS "messageKey", event_id AS "eventId", event_at::text AS "eventAt", free, paused_at::float8 AS "pausedAt"
     FROM usage_messages WHERE message_key = ANY ($1::uuid[])`,
    [keys],
  );
  return rows;
}

/** What was recorded of a message: its parts in their order, and the key of the part that is still to come, if its run has paused. */
export interface Recorded {
  parts: Claim[];
  next: string | undefined;
}

const keyAfter = (messageId: string, pausedAt: number): string => difyMessageKey(`${messageId}#${pausedAt}`);

/** What was recorded of each of these messages; those of which nothing was are missing. A message has parts when its run waited for people. */
export async function recordedOf(tx: Queryable, messageIds: readonly string[]): Promise<Map<string, Recorded>> {
  const found = new Map<string, Recorded>();
  let asked = new Map(messageIds.map((id) => [difyMessageKey(id), id]));
  while (asked.size > 0) {
    const further = new Map<string, string>();
    for (const claim of await claimsFor(tx, [...asked.keys()])) {
      const id = asked.get(claim.messageKey)!;
      const parts = [...(found.get(id)?.parts ?? []), claim];
      const next = claim.pausedAt === null ? undefined : keyAfter(id, claim.pausedAt);
      found.set(id, { parts, next });
      // A part that has no tokens would be its own next one.
      if (next !== undefined && !parts.some(({ messageKey }) => messageKey === next)) further.set(next, id);
    }
    asked = further;
  }
  return found;
}

/** A usage event of the relay, as far as a webhook's answer needs it. */
export interface RelayedEvent {
  id: string;
  createdAt: string;
  userId: string;
  walletId: bigint;
  keyId: string | null;
  tokenId: string | null;
  model: string;
  priceVersionId: bigint | null;
  priceMultiplier: number;
  input: number;
  output: number;
  /** Micro-credits, what is owed of it included; null until it is settled. */
  cost: bigint | null;
  /** What its wallet owes of it. */
  owed: bigint;
  settledAt: Date | null;
  /** It could not be settled; an operator is to look at it. */
  setAside: boolean;
}

/** The events of these claims, by their ids; the days they are of are read, and no other. */
export async function relayedEvents(
  tx: Queryable,
  ledger: Pick<Ledger, "shortfalls">,
  claims: readonly Claim[],
): Promise<ReadonlyMap<string, RelayedEvent>> {
  if (claims.length === 0) return new Map();
  const { rows } = await tx.query<Omit<RelayedEvent, "owed">>(
    `SELECT u.id, u.created_at::text AS "createdAt", u.user_id AS "userId", u.wallet_id AS "walletId", u.key_id AS "keyId",
       u.token_id AS "tokenId", u.model, u.price_version_id AS "priceVersionId", u.price_multiplier AS "priceMultiplier",
       (u.input_tokens + u.cached_input_tokens + u.cache_write_tokens + u.cache_write_long_tokens)::float8 AS input,
       (u.output_tokens + u.reasoning_tokens)::float8 AS output, u.cost, u.settled_at AS "settledAt",
       u.set_aside_at IS NOT NULL AS "setAside"
     FROM usage_events u WHERE u.id = ANY ($1::uuid[]) AND u.created_at = ANY ($2::timestamptz[])`,
    [claims.map(({ eventId }) => eventId), claims.map(({ eventAt }) => eventAt)],
  );
  const settled = rows.flatMap(({ id, settledAt }) => (settledAt ? [id] : []));
  const owed = new Map((await ledger.shortfalls(settled, tx)).map(({ id, amount, collected }) => [id, amount - collected]));
  return new Map(rows.map((row) => [row.id, { ...row, owed: owed.get(row.id) ?? 0n }]));
}

/** Says what the holds of calls used, weighted, in hundredths of a token; before `settled` are settled in the same transaction. */
export async function noteTokens(
  tx: Queryable,
  settled: readonly { wallet_id: bigint }[],
  used: readonly { holdId: string; tokens: number }[],
): Promise<void> {
  if (used.length === 0) return;
  await tx.query("SELECT ledger_note_settled_tokens($1::bigint[], $2::uuid[], $3::bigint[])", [
    [...new Set(settled.map((event) => event.wallet_id))],
    used.map(({ holdId }) => holdId),
    used.map(({ tokens }) => tokens),
  ]);
}
