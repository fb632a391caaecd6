import getPort from "get-port";
import type { Metrics } from "../platform/metrics.ts";

const TIMEOUT_MS = 1_000;

/**
 * Temporal's own metrics of workers and workflows (`temporal_…`) become part of ours: its runtime serves them on a free port of this
 * machine, given back as `host:port`, and we read them there when we are asked.
 */
export async function takeTemporalMetrics(metrics: Metrics): Promise<string> {
  const address = `127.0.0.1:${await getPort({ host: "127.0.0.1" })}`;
  metrics.append(async () => {
    const answer = await fetch(`http://${address}/metrics`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return answer.ok ? answer.text() : "";
  });
  return address;
}
