import type { WorkDeps } from "../deps.ts";
import type { LogLevel } from "../engines/engine.ts";
import { writeLogs, type LogLine } from "../logs.ts";
import type { TaskRow } from "../task.ts";

/** Lines of one try of a frame: a renderer may print without end. */
const MOST_LINES = 200;
const WRITE_AFTER = 50;

/** Collects what an engine says of a frame: written in batches, told to whoever watches at once. Never fails a frame. */
export function createFrameLog({ pool, publish, log }: Pick<WorkDeps, "pool" | "publish" | "log">, task: TaskRow, frame: number) {
  let waiting: LogLine[] = [];
  let writing = Promise.resolve();
  let count = 0;

  function write(): void {
    const lines = waiting;
    waiting = [];
    if (lines.length === 0) return;
    writing = writing
      .then(() => writeLogs(pool, task.id, lines))
      .catch((error: unknown) => log.warn({ task: task.id, err: error }, "lines of a task's log were lost"));
  }

  return {
    add(level: LogLevel, message: string): void {
      count += 1;
      if (count > MOST_LINES) return;
      const line = { level, message: count === MOST_LINES ? "further lines of this frame are left out" : message, frame };
      waiting.push(line);
      publish({ userId: task.user_id, type: "task.log", data: { task_id: task.id, ...line, time: new Date().toISOString() } });
      if (waiting.length >= WRITE_AFTER) write();
    },
    async flush(): Promise<void> {
      write();
      await writing;
    },
  };
}
