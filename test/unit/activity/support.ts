import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Entry } from "../../../src/activity/entry.ts";
import { createActivityMetrics, type ActivityMetrics } from "../../../src/activity/metrics.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createLogger, type Logger } from "../../../src/platform/logger.ts";
import { createMetrics } from "../../../src/platform/metrics.ts";

/** What a sink counts and says, for a test to look at. */
export interface Watched {
  metrics: ActivityMetrics;
  log: Logger;
  lines: { msg: string; level: number }[];
  /** The value of one series, as /metrics shows it; 0 when there is none. */
  count(series: string): Promise<number>;
}

export function watched(): Watched {
  const registry = createMetrics();
  const lines: Watched["lines"] = [];
  return {
    metrics: createActivityMetrics(registry),
    log: createLogger({
      level: "info",
      name: "test",
      to: { write: (line) => void lines.push(JSON.parse(line) as Watched["lines"][number]) },
    }),
    lines,
    async count(series) {
      const line = (await registry.text()).split("\n").find((line) => line.startsWith(`${series} `));
      return Number(line?.slice(series.length + 1) ?? 0);
    },
  };
}

/** An event of a user; `n` makes its line one of its own. */
export function signIn(userId: string | null, at: Date, n = 0): Entry {
  return new Entry({
    v: 1,
    id: uuidv7(),
    at: at.toISOString(),
    kind: "sign_in",
    user_id: userId,
    request_id: `request-${n}`,
    ip: "192.0.2.1",
    result: "failure",
    method: "password",
    reason: "wrong_credentials",
  });
}

/** A folder that is removed after the test. */
export async function withFolder<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(path.join(tmpdir(), "activity-"));
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Names and texts of the files of one user. */
export async function filesOf(dir: string, folder: string): Promise<{ name: string; text: string }[]> {
  const names = (await readdir(path.join(dir, folder)).catch(() => [])).sort();
  return Promise.all(names.map(async (name) => ({ name, text: await readFile(path.join(dir, folder, name), "utf8") })));
}
