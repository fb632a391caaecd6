/** So many different accounts are believed, whatever they met. */
export const ENOUGH = 3;

interface Witness {
  account: string;
  atMs: number;
}

/** The last few accounts that met something, each once, and when each did last. Times are `performance.now()`. */
export class Witnesses {
  /** The latest last. */
  #seen: Witness[] = [];

  note(account: string, atMs: number): void {
    const latest = this.#seen.at(-1);
    if (latest?.account === account) {
      latest.atMs = atMs;
      return;
    }
    const others = this.#seen.filter((one) => one.account !== account);
    if (others.length >= ENOUGH) others.shift();
    others.push({ account, atMs });
    this.#seen = others;
  }

  /** Those who met it at this moment or later. */
  since(fromMs: number): string[] {
    return this.#seen.filter(({ atMs }) => atMs >= fromMs).map(({ account }) => account);
  }

  clear(): void {
    this.#seen = [];
  }
}
