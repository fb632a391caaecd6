import { createProviderAdmin } from "../gateway/providers/index.ts";
import { parseBaseUrl } from "../gateway/providers/baseUrl.ts";
import { countProviders, listProviders } from "../gateway/providers/repository.ts";
import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import type { SecretBox } from "../platform/secrets.ts";
import { createModelAdmin } from "../pricing/index.ts";
import { MICRO } from "../platform/credits.ts";

const NAME = "Demo upstream";
const NOBODY = { userId: null, traceId: null };
/** Credits per 1000 tokens. */
const MODELS = [
  { name: "demo-chat", display_name: "Demo chat", input_price: 30n * MICRO, output_price: 60n * MICRO },
  { name: "demo-fast", display_name: "Demo fast", input_price: 15n * MICRO, output_price: 30n * MICRO },
];
const MAX_OUTPUT_TOKENS = 4_096;
/** Any number, the same in every copy. */
const SEED_LOCK = 7_266_003;

/**
 * For development: when there is no provider, adds the demo upstream with two priced models; when it is there but has moved to another
 * port, follows it. Copies that start together do it once, and running it again changes nothing.
 */
export async function seedDemo(deps: { pool: Pool; secretBox: SecretBox; url: string; log: Logger }): Promise<void> {
  const { pool, secretBox, url } = deps;
  const providers = createProviderAdmin({ pool, secretBox, allowPrivate: true, changed: () => undefined });
  const models = createModelAdmin({ pool, changed: () => undefined });
  const lock = await pool.connect();
  try {
    await lock.query("SELECT pg_advisory_lock($1)", [SEED_LOCK]);
    const { items } = await listProviders(lock, { q: NAME, limit: 1, offset: 0 });
    const present = items[0];
    const parsed = parseBaseUrl(url);
    if (present?.name === NAME) {
      if (parsed.ok && present.base_url !== parsed.baseUrl) await providers.change(present.id, { base_url: url }, NOBODY);
      return;
    }
    if ((await countProviders(lock)) > 0) return;
    for (const model of MODELS) {
      if (!(await models.find(model.name))) {
        await models.create({ ...model, max_output_tokens: MAX_OUTPUT_TOKENS, reason: "demo" }, NOBODY);
      }
    }
    // The models of the provider come in its own transaction: without them it would never be completed.
    await providers.create(
      { name: NAME, base_url: url, api_key: "demo" },
      NOBODY,
      MODELS.map((model) => ({ model_name: model.name })),
    );
    deps.log.info({ url }, "the demo upstream was added as a provider");
  } finally {
    await lock.query("SELECT pg_advisory_unlock($1)", [SEED_LOCK]).catch(() => undefined);
    lock.release();
  }
}
