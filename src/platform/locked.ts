import { Waits } from "./aside.ts";
import { isLockTimeout } from "./postgres.ts";

/** How long a batch waits for each lock, in milliseconds: far longer than anybody keeps one, and not so long that others would notice. */
export const PATIENCE_MS = 100;

/**
 * A call of a function, for a FROM, that waits for no lock longer than {@link PATIENCE_MS}, in a statement that is a transaction of its own.
 * `first` is the type of its first parameter, $1, which is known only when that is set.
 */
export const patiently = (name: string, first: string, rest: string): string =>
  `set_config('lock_timeout', '${PATIENCE_MS}', true) AS patience CROSS JOIN LATERAL ${name}(CASE WHEN patience IS NOT NULL THEN $1::${first} END, ${rest})`;

/**
 * Runs a batch without those of its items whose key (a wallet, a message) somebody keeps locked: these answer that they wait for it. What else
 * may be locked is found by halving until it stands with one key. `run` rejects with a lock time-out when nothing of what it was asked was done.
 */
export async function aroundLocked<Item, Answer, Key>(
  items: readonly Item[],
  {
    keyOf,
    run,
    free: freeOf,
  }: {
    keyOf: (item: Item) => Key;
    run: (items: readonly Item[]) => Promise<readonly Answer[]>;
    /** Those of the keys that nobody has locked at this moment. */
    free: (keys: readonly Key[]) => Promise<ReadonlySet<Key>>;
  },
): Promise<(Answer | Waits<Key>)[]> {
  const answers = new Map<Item, Answer | Waits<Key>>();

  async function attempt(part: readonly Item[]): Promise<void> {
    if (part.length === 0) return;
    try {
      const given = await run(part);
      for (const [n, item] of part.entries()) answers.set(item, given[n]!);
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      await split(part);
    }
  }

  async function split(part: readonly Item[]): Promise<void> {
    const keys = [...new Set(part.map(keyOf))];
    const free = keys.length > 1 ? await freeOf(keys) : new Set<Key>();
    for (const item of part) if (!free.has(keyOf(item))) answers.set(item, new Waits([keyOf(item)]));
    if (free.size < keys.length) return attempt(part.filter((item) => free.has(keyOf(item))));
    const first = new Set(keys.slice(0, keys.length >> 1));
    await attempt(part.filter((item) => first.has(keyOf(item))));
    await attempt(part.filter((item) => !first.has(keyOf(item))));
  }

  await attempt(items);
  return items.map((item) => answers.get(item)!);
}
