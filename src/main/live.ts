import type { Bus } from "../activity/index.ts";
import { addressOf } from "../http/address.ts";
import type { Throttle } from "../http/throttle.ts";
import { createLive, type Live, type Publish } from "../live/index.ts";
import { ownsTask } from "../render/index.ts";
import type { Platform } from "./platform.ts";
import type { CoreServices } from "./services.ts";

/** People hear what becomes of their top-ups, whichever process finds it out. */
export function tellTopUps(events: Pick<Bus, "on">, publish: Publish): void {
  events.on("topup.changed", ({ user_id, order_no, status, provider, method, amount, currency }) => {
    if (user_id !== null) publish({ userId: user_id, type: "topup", data: { order_no, status, provider, method, amount, currency } });
  });
}

/** Live push of an api process. */
export function createApiLive(
  { config, pool, redis, log, metrics, invalidation, live, processName }: Platform,
  { identity, ledger }: Pick<CoreServices, "identity" | "ledger">,
  throttle: Throttle | undefined,
): Live {
  return createLive({
    redis,
    pool,
    log,
    metrics,
    invalidation,
    publish: live.publish,
    copy: processName,
    publicUrl: config.PUBLIC_URL,
    corsOrigins: config.CORS_ORIGINS,
    mostConnections: config.LIVE_CONNECTIONS,
    mostWaiting: config.LIVE_WAITING_KB * 1_024,
    authenticateToken: identity.authenticateToken,
    principalOf: identity.principalOf,
    livingSessions: identity.livingSessions,
    userExists: async (id) => (await identity.getUser(id)) !== undefined,
    ownsTask: (userId, taskId) => ownsTask(pool, userId, taskId),
    states: (walletIds) => ledger.walletStates(pool, walletIds),
    balance: ledger.balance,
    count: (req, principal) => throttle?.({ principal, ip: addressOf(req, config.TRUST_PROXY) }),
  });
}
