import { setTimeout as delay } from "node:timers/promises";
import type { Pool } from "../../platform/postgres.ts";
import type { DifyAnswer } from "./answers.ts";
import type { FirstEvent } from "./repository.ts";
import type { Retry } from "./retry.ts";

/** Before each try, in milliseconds: the relay says what it makes within a few, unless it is very busy. */
const PAUSES_MS = [20, 40, 80, 160, 320, 640];

/** What has waited longer has lost its call; the sweep sees to it. */
const NEW_MS = 5_000;

/** Whether a kept event may be one that a call of ours is just making. */
export const isWorthWaiting = ({ state, reason, charged, receivedAt }: FirstEvent): boolean =>
  state === "open" && reason === "relay_waits" && !charged && Date.now() - receivedAt.getTime() < NEW_MS;

/**
 * Tries to charge an event that a call of ours is just making, until the call has said so; the answer it has then, or undefined when it
 * still waits: the sweep goes on with it.
 */
export async function chargeSoon(deps: { pool: Pool; retry: Retry }, id: string): Promise<DifyAnswer | undefined> {
  for (const ms of PAUSES_MS) {
    await delay(ms);
    await deps.retry([id]);
    const { rows } = await deps.pool.query<DifyAnswer>(
      "SELECT status, answer AS body FROM dify_events WHERE id = $1 AND charged_at IS NOT NULL",
      [id],
    );
    if (rows[0]) return rows[0];
  }
  return undefined;
}
