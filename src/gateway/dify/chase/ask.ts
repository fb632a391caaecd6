import { isObject } from "../../formats/checks.ts";
import { stopOf } from "../../formats/dify/native.ts";
import type { Catalog, UpstreamProvider } from "../../providers/index.ts";
import { upstreamAuth, upstreamUrl } from "../../providers/index.ts";
import { countOf } from "../../tokens/classes.ts";
import { ask, type Answered } from "../../upstream/ask.ts";
import type { Upstream } from "../../upstream/exchange.ts";
import { upstreamHeaders } from "../../upstream/headers.ts";
import type { RunRow } from "../runs/index.ts";

/** What Dify says of a run. */
export type Look =
  /** It is over: what all of it has used, and when it ended by Dify's clock, if Dify says so. */
  | { kind: "ended"; tokens: number; endedAt: Date | undefined }
  | { kind: "failed" }
  /** A person's word is waited for: what was used until then. */
  | { kind: "paused"; tokens: number }
  | { kind: "running" }
  /** Nobody knows. */
  | { kind: "unknown"; why: string };

const PATIENCE_MS = 10_000;
/** Its inputs and outputs come with it. */
const ANSWER_LIMIT = 32 * 1024 * 1024;

const ENDED: ReadonlySet<unknown> = new Set(["succeeded", "partial-succeeded", "stopped"]);

/** Asks for a run at Dify, and has one stopped there. */
export interface AskRuns {
  /** Never rejects. */
  look(run: RunRow): Promise<Look>;
  /** Never rejects: whether it has stopped is seen at the next look. */
  stop(run: RunRow): Promise<void>;
}

export function createAskRuns(deps: { catalog: Pick<Catalog, "providers">; upstream: Pick<Upstream, "send"> }): AskRuns {
  async function send(run: RunRow, method: "GET" | "POST", path: string, body?: Buffer): Promise<Answered | undefined> {
    const provider = (await deps.catalog.providers()).find(({ id }) => id === run.providerId);
    if (!provider) return undefined;
    return ask(deps.upstream, {
      url: upstreamUrl(provider, path, ""),
      method,
      headers: headersFor(provider, run, body?.length ?? 0),
      ...(body ? { body } : {}),
      connectMs: provider.timeouts.connectMs,
      totalMs: PATIENCE_MS,
      limit: ANSWER_LIMIT,
    });
  }
  return {
    async look(run) {
      try {
        const answer = await send(run, "GET", `/workflows/run/${encodeURIComponent(run.run)}?user=${encodeURIComponent(run.owner)}`);
        return answer ? lookOf(answer) : { kind: "unknown", why: "its provider is not there any more" };
      } catch (error) {
        return { kind: "unknown", why: (error as Error).message };
      }
    },
    async stop(run) {
      const stop = stopOf(run.ofMessage ? "/chat-messages" : "/workflows/tasks", { task: run.task ?? undefined }, run.owner);
      if (stop) await send(run, "POST", stop.path, stop.body).catch(() => undefined);
    },
  };
}

/** All keys are of one app: when one is refused the next one is tried the next time. */
function headersFor(provider: UpstreamProvider, { tries }: RunRow, bytes: number): string[] {
  const key = provider.keys[tries % provider.keys.length]!;
  return upstreamHeaders({
    caller: {},
    speaks: provider.speaks,
    auth: upstreamAuth(provider, key.value, ""),
    accept: "application/json",
    contentType: "application/json",
    bytes,
    extra: provider.headers,
  });
}

/** https://docs.dify.ai/api-reference/workflow-execution/get-workflow-run-detail */
function lookOf({ status: code, body }: Answered): Look {
  if (code !== 200) return { kind: "unknown", why: `status ${code}` };
  let said: unknown;
  try {
    said = JSON.parse(body.toString("utf8"));
  } catch {
    return { kind: "unknown", why: "no JSON" };
  }
  if (!isObject(said)) return { kind: "unknown", why: "no run" };
  const { status } = said;
  if (status === "failed") return { kind: "failed" };
  const paused = status === "paused";
  if (!paused && !ENDED.has(status)) return typeof status === "string" ? { kind: "running" } : { kind: "unknown", why: "no status" };
  const tokens = countOf(said, "total_tokens");
  if (tokens === undefined || Number.isNaN(tokens)) return { kind: "unknown", why: "no total" };
  const used = Math.max(0, tokens);
  if (paused) return { kind: "paused", tokens: used };
  const { finished_at: finished } = said;
  return { kind: "ended", tokens: used, endedAt: typeof finished === "number" ? new Date(finished * 1_000) : undefined };
}
