import { createProviderAdmin } from "../gateway/providers/index.ts";
import { parseBaseUrl } from "../gateway/providers/baseUrl.ts";
import { listProviders } from "../gateway/providers/repository.ts";
import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import type { SecretBox } from "../platform/secrets.ts";
import { createModelAdmin } from "../pricing/index.ts";
import { MICRO } from "../platform/credits.ts";

const NOBODY = { userId: null, traceId: null };
const credits = (amount: bigint) => amount * MICRO;
const MAX_OUTPUT_TOKENS = 4_096;

type NewModel = Parameters<ReturnType<typeof createModelAdmin>["create"]>[0];

/** A provider for development, and the models it serves; prices in credits per 1000 tokens or per one. */
interface Demo {
  name: string;
  key: string;
  format: "openai" | "dify";
  models: NewModel[];
}

const UPSTREAM: Demo = {
  name: "Demo upstream",
  key: "demo",
  format: "openai",
  models: [
    { name: "demo-chat", display_name: "Demo chat", input_price: credits(30n), output_price: credits(60n) },
    { name: "demo-fast", display_name: "Demo fast", input_price: credits(15n), output_price: credits(30n) },
  ],
};
const DIFY: Demo = {
  name: "Demo Dify",
  key: "app-demo",
  format: "dify",
  models: [
    {
      name: "demo-dify",
      display_name: "Demo Dify app",
      input_price: credits(30n),
      output_price: credits(60n),
      character_price: MICRO / 100n,
      second_price: MICRO / 10n,
    },
  ],
};
const NAMES = [UPSTREAM.name, DIFY.name];
/** Any number, the same in every copy. */
const SEED_LOCK = 7_266_003;

interface SeedDeps {
  pool: Pool;
  secretBox: SecretBox;
  url: string;
  log: Logger;
}

/** See {@link seedDemo}; a provider that an operator has added means that no demo is wanted any more. */
async function seed({ pool, secretBox, url, log }: SeedDeps, demo: Demo): Promise<void> {
  const providers = createProviderAdmin({ pool, secretBox, allowPrivate: true, changed: () => undefined });
  const models = createModelAdmin({ pool, changed: () => undefined });
  const lock = await pool.connect();
  try {
    await lock.query("SELECT pg_advisory_lock($1)", [SEED_LOCK]);
    const { items, total } = await listProviders(lock, { limit: NAMES.length, offset: 0 });
    const present = items.find(({ name }) => name === demo.name);
    const parsed = parseBaseUrl(url);
    if (present) {
      if (parsed.ok && present.base_url !== parsed.baseUrl) await providers.change(present.id, { base_url: url }, NOBODY);
      return;
    }
    if (total > items.length || items.some(({ name }) => !NAMES.includes(name))) return;
    for (const model of demo.models) {
      if (!(await models.find(model.name))) {
        await models.create({ ...model, max_output_tokens: MAX_OUTPUT_TOKENS, reason: "demo" }, NOBODY);
      }
    }
    // The models of the provider come in its own transaction: without them it would never be completed.
    await providers.create(
      { name: demo.name, base_url: url, api_key: demo.key, api_format: demo.format },
      NOBODY,
      demo.models.map((model) => ({ model_name: model.name })),
    );
    log.info({ url }, `${demo.name} was added as a provider`);
  } finally {
    await lock.query("SELECT pg_advisory_unlock($1)", [SEED_LOCK]).catch(() => undefined);
    lock.release();
  }
}

/**
 * For development: while there is no provider but these, adds the demo upstream with two priced models; when it is there but has moved to
 * another port, follows it. Copies that start together do it once, and running it again changes nothing.
 */
export const seedDemo = (deps: SeedDeps): Promise<void> => seed(deps, UPSTREAM);

/** The same for an app of the demo Dify. */
export const seedDify = (deps: SeedDeps): Promise<void> => seed(deps, DIFY);
