import type { Ledger } from "../../ledger/index.ts";
import type { Queryable } from "../../platform/postgres.ts";
import { difyMessageKey } from "../difyMessage.ts";
import { freeMessages } from "../messageLocks.ts";
import { requestKey, type DifyMessage } from "./message.ts";

/** What a message needs that somebody may keep locked: a wallet by its number, or the message's own name (nameOf). */
export type Need = bigint | string;
/** What each message needs, by the messages' ids. */
export type Needs = ReadonlyMap<string, readonly Need[]>;

const BETWEEN = "/";

/** A message by its key and its request's. */
export const nameOf = ({ messageId, requestId }: DifyMessage): string => `${difyMessageKey(messageId)}${BETWEEN}${requestKey(requestId)}`;

/** Each message needs to be taken by nobody else. */
export const namesOf = (messages: readonly { id: string; message: DifyMessage }[]): Needs =>
  new Map(messages.map(({ id, message }) => [id, [nameOf(message)]]));

/** Somebody keeps locked what a batch needs; nothing of the batch was done. */
export class HeldUp extends Error {
  readonly needs: Needs;

  constructor(needs: Needs, options?: ErrorOptions) {
    super("somebody keeps a wallet or a message locked", options);
    this.needs = needs;
  }
}

export interface LookDeps {
  pool: Queryable;
  ledger: Pick<Ledger, "unlocked">;
}

/** Those of the needs that nobody has locked at this moment. */
export async function freeNeeds({ pool, ledger }: LookDeps, needs: readonly Need[]): Promise<ReadonlySet<Need>> {
  const wallets = needs.filter((need) => typeof need === "bigint");
  const names = needs.flatMap((name) => {
    if (typeof name === "bigint") return [];
    const [message, request] = name.split(BETWEEN);
    return [{ name, messageKey: message!, requestKey: request! }];
  });
  const free = await freeMessages(pool, names);
  return new Set<Need>([...(await ledger.unlocked(wallets)), ...free.map(({ name }) => name)]);
}

/** Of messages and what they need, those that would have to wait at this moment. */
async function heldUp(deps: LookDeps, needs: Needs): Promise<Needs> {
  const free = await freeNeeds(deps, [...new Set([...needs.values()].flat())]);
  return new Map([...needs].filter(([, some]) => some.some((need) => !free.has(need))));
}

/** After so many tries what a batch needs counts as locked, though it is free when it is looked at. */
const TRIES = 3;

/**
 * Runs a batch without those of its messages that would have to wait for somebody: these are answered with what they need, `run` is not
 * asked for them.
 */
export async function aroundBusy<Answer>(
  deps: LookDeps,
  ids: readonly string[],
  run: (ids: readonly string[]) => Promise<Answer>,
): Promise<{ answer: Answer | undefined; busy: Needs }> {
  const busy = new Map<string, readonly Need[]>();
  for (let tries = 1; ; tries++) {
    const rest = ids.filter((id) => !busy.has(id));
    if (rest.length === 0) return { answer: undefined, busy };
    try {
      return { answer: await run(rest), busy };
    } catch (error) {
      if (!(error instanceof HeldUp) || error.needs.size === 0) throw error;
      for (const [id, needs] of tries < TRIES ? await heldUp(deps, error.needs) : error.needs) busy.set(id, needs);
    }
  }
}
