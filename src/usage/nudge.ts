/** Wakes settlement workflows, at most once per interval and shard, without ever making anybody wait. */
export interface Nudger {
  nudge(shards: readonly number[]): void;
  /** Sends what is still owed, waiting at most a second. */
  stop(): Promise<void>;
}

interface ShardState {
  /** Something was recorded since the last wake was sent. */
  owed: boolean;
  failures: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * The first nudge of a quiet shard goes out at once, later ones share one at the end of the interval. A wake that fails (Temporal is
 * away) is owed again and tried with growing pauses; nothing depends on it, it only makes the charge appear sooner.
 */
export function createNudger(options: { wake: (shard: number) => Promise<unknown>; intervalMs?: number; maxPauseMs?: number }): Nudger {
  const { wake, intervalMs = 1_000, maxPauseMs = 10_000 } = options;
  const shards = new Map<number, ShardState>();
  let stopped = false;

  async function send(shard: number, state: ShardState): Promise<void> {
    state.owed = false;
    try {
      await wake(shard);
      state.failures = 0;
    } catch {
      state.failures += 1;
      state.owed = true;
    }
    if (stopped) return;
    state.timer = setTimeout(
      () => next(shard, state),
      Math.min(intervalMs * 2 ** Math.min(state.failures, 10), Math.max(maxPauseMs, intervalMs)),
    );
    state.timer.unref();
  }

  function next(shard: number, state: ShardState): void {
    if (state.owed) void send(shard, state);
    else shards.delete(shard);
  }

  return {
    nudge(list) {
      if (stopped) return;
      for (const shard of list) {
        const state = shards.get(shard);
        if (state) {
          state.owed = true;
        } else {
          const fresh: ShardState = { owed: false, failures: 0, timer: undefined };
          shards.set(shard, fresh);
          void send(shard, fresh);
        }
      }
    },
    async stop() {
      stopped = true;
      const last: Promise<unknown>[] = [];
      for (const [shard, state] of shards) {
        clearTimeout(state.timer);
        if (state.owed && state.failures === 0) last.push(wake(shard).catch(() => undefined));
      }
      shards.clear();
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([Promise.all(last), new Promise((resolve) => (timer = setTimeout(resolve, 1_000)))]);
      clearTimeout(timer);
    },
  };
}
