import type { Config } from "../config/index.ts";
import type { UpstreamTimeouts } from "../gateway/providers/index.ts";

/** For providers that set none of their own. */
export const upstreamTimeouts = (config: Config): UpstreamTimeouts => ({
  connectMs: config.UPSTREAM_CONNECT_TIMEOUT,
  firstByteMs: config.UPSTREAM_FIRST_BYTE_TIMEOUT,
  wholeMs: config.UPSTREAM_WHOLE_TIMEOUT,
  idleMs: config.UPSTREAM_IDLE_TIMEOUT,
  totalMs: config.UPSTREAM_TOTAL_TIMEOUT,
});
