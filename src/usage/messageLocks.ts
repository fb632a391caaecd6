import type { Queryable } from "../platform/postgres.ts";

/** For how long messages are tried at once, in milliseconds; those that were not come to are tried the next time. */
const LOOK_MS = 150;

/**
 * Those of these messages, by their keys, that nobody is just recording, as far as that was found out in a short time. With the key of its
 * request a message is looked at as the webhook takes it.
 */
export async function freeMessages<Message extends { messageKey: string; requestKey?: string }>(
  db: Queryable,
  messages: readonly Message[],
): Promise<Message[]> {
  if (messages.length === 0) return [];
  const { rows } = await db.query<{ n: bigint }>({
    name: "dify_free",
    text: `SELECT dify_free($1::uuid[], $2::uuid[], '${LOOK_MS} ms') AS n`,
    values: [messages.map(({ messageKey }) => messageKey), messages.map(({ requestKey }) => requestKey ?? null)],
  });
  return rows.map(({ n }) => messages[Number(n) - 1]!);
}
