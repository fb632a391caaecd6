/** A response that was kept, and what continuing it costs in input tokens. */
export interface Stored {
  response: object;
  input: unknown[];
  tokens: number;
}

const KEPT = 1_000;

/** Responses by id; the oldest are forgotten. */
export function createStore() {
  const stored = new Map<string, Stored>();
  return {
    keep(id: string, one: Stored): void {
      stored.set(id, one);
      if (stored.size > KEPT) stored.delete(stored.keys().next().value ?? "");
    },
    find: (id: string): Stored | undefined => stored.get(id),
    remove: (id: string): boolean => stored.delete(id),
  };
}

export type Store = ReturnType<typeof createStore>;
