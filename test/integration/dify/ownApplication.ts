import express from "express";
import { createLedger } from "../../../src/ledger/index.ts";
import { createInvalidation } from "../../../src/platform/invalidation.ts";
import type { Logger } from "../../../src/platform/logger.ts";
import { createPool } from "../../../src/platform/postgres.ts";
import { createPricing } from "../../../src/pricing/index.ts";
import { createDifyWebhook, difyWebhookRouter } from "../../../src/usage/dify/index.ts";
import { createSettlement } from "../../../src/usage/index.ts";

interface Account {
  userId: string; // a UUID
  walletId: bigint; // of ledger.ensureWallet
  tier: string;
}

export async function ownApplication(url: string, log: Logger, findAccounts: (ids: readonly string[]) => Promise<Account[]>) {
  const pool = createPool({ url, max: 10, name: "own", log });
  const invalidation = createInvalidation({ url, log });
  await invalidation.start();
  const ledger = createLedger({ pool, log, tolerance: { percent: 10, micro: 0n } });
  const pricing = createPricing({ pool, invalidation });
  const settlement = createSettlement({ pool, ledger, pricing, log });
  const webhook = createDifyWebhook({
    pool,
    log,
    ledger,
    pricing,
    settlement,
    invalidation,
    shards: 16,
    accountsOf: findAccounts,
    apiKeys: ["a-key-of-16-or-more"],
    secrets: ["a-secret-of-16-or-more"],
    debug: false,
  });

  const app = express();
  app.use("/hooks/dify", difyWebhookRouter(webhook.deps));
  app.use(express.json());
  const stop = async () => {
    await webhook.stop();
    await ledger.close();
    await invalidation.stop();
    await pool.end();
  };
  return { app, stop };
}
