import { customer, operator, pricedModel, settledBalance } from "../test/support/people.ts";
import { startStack, type Product } from "../test/support/stack.ts";
import { descendants } from "./cpu.ts";
import { ask, startRole, stopParts } from "./parts.ts";
import type { LoadResult } from "./relayProcess.ts";

const CALLS = 20_000;
const PARALLEL = 32;

/** Parts of the product by what stands in their command lines. Everything else below the bench is load or a double. */
const PARTS: Record<string, RegExp> = {
  api: /src\/main\/api\.js/,
  worker: /src\/main\/worker\.js/,
  postgres: /postgres/,
  redis: /redis-server|valkey-server/,
  temporal: /temporal server/,
};

export interface SystemResult {
  calls: number;
  /** CPU milliseconds a call, from the first call to the last settlement. */
  byPart: Record<string, number>;
  total: number;
}

/** CPU seconds of each part of a product that runs below this process. */
export function used(): Record<string, number> {
  const tasks = descendants();
  return Object.fromEntries(
    Object.entries(PARTS).map(([name, pattern]) => [
      name,
      tasks.filter(({ command }) => pattern.test(command)).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    ]),
  );
}

/** What a relayed, billed and settled call costs in all: api, worker, Postgres, Redis and Temporal of a product of its own. Only on Linux. */
export async function benchSystem(): Promise<SystemResult> {
  const stack = await startStack({ env: { LOG_LEVEL: "warn" }, durable: true });
  const parts = { upstream: await startRole("upstream"), client: await startRole("client") };
  try {
    const product = { ...stack.endpoints, stack } as Product;
    const admin = await operator(product);
    const buyer = await customer(product, admin, { credits: "1000000000" });
    const model = await pricedModel(admin, parts.upstream.at.url);
    const order = { kind: "load", url: product.api, key: buyer.key, model, parallel: PARALLEL } as const;
    await ask<LoadResult>(parts.client.who, { ...order, calls: 2_000 });
    await settledBalance(buyer);
    const before = used();
    const { bad } = await ask<LoadResult>(parts.client.who, { ...order, calls: CALLS });
    if (bad > 0) throw new Error(`${bad} of ${CALLS} calls failed`);
    await settledBalance(buyer);
    const after = used();
    const byPart = Object.fromEntries(Object.keys(PARTS).map((name) => [name, ((after[name]! - before[name]!) * 1_000) / CALLS]));
    return { calls: CALLS, byPart, total: Object.values(byPart).reduce((sum, ms) => sum + ms, 0) };
  } finally {
    stopParts(parts);
    await stack.destroy();
  }
}
