import { z } from "zod";
import type { Ledger } from "../../ledger/index.ts";
import { rawRoute, type Route } from "../../http/route.ts";
import type { Invalidation } from "../../platform/invalidation.ts";
import type { Logger } from "../../platform/logger.ts";
import { createMetrics, type Metrics } from "../../platform/metrics.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { Pricing } from "../../pricing/index.ts";
import type { Settlement } from "../settlement.ts";
import { createReadyDays } from "./days.ts";
import { createInbox, type Inbox } from "./inbox.ts";
import { inboxRoutes } from "./inboxRoutes.ts";
import { createIntake, type Intake } from "./intake.ts";
import { difyBody } from "./message.ts";
import { createDifyMetrics, type DifyMetrics } from "./metrics.ts";
import { createPayers, type AccountsOf, type Payers } from "./payers.ts";
import { createDecide, type Totals } from "./price.ts";
import { refusalRoutes } from "./refusalRoutes.ts";
import { createRefusals } from "./refusals.ts";
import { createReplays } from "./replays.ts";
import { difyWebhookHandler, type DifyWebhookDeps } from "./router.ts";
import { createVerifier } from "./signature.ts";
import type { HeldRuns } from "./runs.ts";
import { createRetry } from "./retry.ts";
import { createSweep, type Sweep } from "./sweep.ts";
import { createMappings } from "./users.ts";
import { userRoutes } from "./userRoutes.ts";

export { watchOpenEvents } from "./metrics.ts";
export { tidyDify } from "./retention.ts";
export { difyWebhookRouter, type DifyWebhookDeps } from "./router.ts";

export interface DifyDeps {
  pool: Pool;
  log: Logger;
  ledger: Pick<Ledger, "shortfalls" | "holdingSince" | "unlocked" | "holdLate">;
  pricing: Pick<Pricing, "model" | "versionAt" | "switchedOff" | "cost">;
  settlement: Pick<Settlement, "prepare">;
  accountsOf: AccountsOf;
  invalidation: Invalidation;
  shards: number;
  /** `keep` where it is not said. */
  totals?: Totals | undefined;
  /** Of the relay's; left out where there is none. */
  heldRuns?: HeldRuns;
}

/** What charges reported messages: in the api as they come, in the worker what was left open. */
export interface DifyUsage {
  intake: Intake;
  inbox: Inbox;
  payers: Payers;
  sweep: Sweep;
}

/** Creates the charging of reported messages; `metrics` only where they come in. */
export function createDifyUsage(deps: DifyDeps, metrics?: DifyMetrics): DifyUsage {
  const payers = createPayers(deps);
  const decide = createDecide({ payers, pricing: deps.pricing, totals: deps.totals });
  const readyDays = createReadyDays(deps);
  const retry = createRetry({ ...deps, decide, readyDays });
  const intake = createIntake({ ...deps, decide, retry, readyDays, ...(metrics ? { onBatch: metrics.committed } : {}) });
  const inbox = createInbox({ ...deps, retry });
  return { intake, inbox, payers, sweep: createSweep({ ...deps, retry, inbox, payers }) };
}

export interface DifyWebhook {
  /** The webhook and the operators' routes. */
  routes: Route[];
  /** For a router elsewhere: see difyWebhookRouter. */
  deps: DifyWebhookDeps;
  /** Waits until what came is answered and kept. */
  stop(): Promise<void>;
}

/** Creates the webhook of one api process. */
export function createDifyWebhook(
  options: DifyDeps & { apiKeys: readonly string[]; secrets: readonly string[]; debug: boolean; metrics?: Metrics },
): DifyWebhook {
  const { pool, log, accountsOf, invalidation } = options;
  const metrics = createDifyMetrics(options.metrics ?? createMetrics());
  const { intake, inbox, payers, sweep } = createDifyUsage(options, metrics);
  const refusals = createRefusals({ pool, log });
  const deps: DifyWebhookDeps = { intake, verifier: createVerifier(options), refusals, log, metrics, debug: options.debug };
  const handler = difyWebhookHandler(deps);
  const sweepSoon = once(() => sweep().catch((error: unknown) => log.warn({ err: error }, "open dify events wait for the next sweep")));
  // A user or price that was missing may be there now. The worker's sweep finds what this one misses.
  invalidation.on("model", () => sweepSoon());
  const mappings = createMappings({
    pool,
    accountsOf,
    changed() {
      payers.forget();
      sweepSoon();
    },
  });
  return {
    deps,
    routes: [
      rawRoute({
        method: "post",
        path: "/api/dify/webhook",
        summary: "Charge a message that Dify reports",
        description:
          "For Dify's server: `X-API-Key` (or a bearer token), `X-Timestamp` (unix seconds, within 300 s) and `X-Signature: sha256=` with the " +
          "HMAC-SHA256 of the timestamp, a dot and the raw body. The same `request_id` or `message_id` again gets the first answer again. " +
          "Points are a number, whole when they are. See docs/dify-webhook.md.",
        tag: "Dify",
        access: "none",
        consumes: "application/json",
        body: difyBody,
        responses: { 200: z.object({ consumptionId: z.string(), pointsDeducted: z.number(), tokensUsed: z.number().int() }) },
        errors: [
          "unauthenticated",
          "invalid_signature",
          "request_expired",
          "validation_failed",
          "payload_too_large",
          "user_not_found",
          "model_not_found",
          "model_not_priced",
          "insufficient_balance",
        ],
        handler: (req, res) => void handler(req, res, () => undefined),
      }),
      ...inboxRoutes({ inbox }),
      ...refusalRoutes({ pool, replays: createReplays({ pool, intake }) }),
      ...userRoutes(mappings),
    ],
    async stop() {
      await intake.idle();
      await refusals.stop();
    },
  };
}

/** Runs `work` soon, never twice at once; asked while it runs it runs once more. */
function once(work: () => Promise<unknown>): () => void {
  let running = false;
  let again = false;
  return function run() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    void work().finally(() => {
      running = false;
      if (!again) return;
      again = false;
      run();
    });
  };
}
