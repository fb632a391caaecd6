import { Context } from "@temporalio/activity";

const HEARTBEAT_MS = 1_000;

/** Heartbeats as long as `work` runs, so that a dead worker is told from a slow Postgres. */
export async function beating<T>(work: (beat: (progress: number) => void) => Promise<T>): Promise<T> {
  const context = Context.current();
  let progress = 0;
  const timer = setInterval(() => context.heartbeat(progress), HEARTBEAT_MS);
  try {
    return await work((next) => (progress = next));
  } finally {
    clearInterval(timer);
  }
}
