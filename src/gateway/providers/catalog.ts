import type { Invalidation } from "../../platform/invalidation.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { SecretBox } from "../../platform/secrets.ts";
import { createSnapshot } from "../../platform/snapshot.ts";
import type { Speaks } from "../pipeline/format.ts";
import { apiRoot } from "./baseUrl.ts";
import { upstreamPrices, type UpstreamPrices } from "./cost.ts";
import { customFormat, type CustomFormat } from "./custom.ts";
import { fingerprintOf, type ProviderKey } from "./key.ts";
import { activeRoutes, type ApiFormat, type ProviderRow } from "./repository.ts";

/** Milliseconds until a connection stands, until the first byte of a stream or of a whole answer, between chunks, and for the whole call. */
export interface UpstreamTimeouts {
  connectMs: number;
  firstByteMs: number;
  wholeMs: number;
  idleMs: number;
  totalMs: number;
}

/** A provider ready to be called; shared between calls, not to be changed. */
export interface UpstreamProvider {
  id: string;
  name: string;
  /** As stored, without `/v1`. */
  baseUrl: string;
  /** What `/chat/completions` is appended to. */
  apiRoot: string;
  /** At least one. */
  keys: readonly ProviderKey[];
  apiFormat: ApiFormat;
  /** Whose requests and answers it has. */
  speaks: Speaks;
  /** How it differs from that; for the format `custom` alone. */
  custom: CustomFormat | undefined;
  /** Sent with every call, in clear. */
  headers: Readonly<Record<string, string>>;
  timeouts: UpstreamTimeouts;
  flags: {
    /** The vendor never sends `[DONE]`: a finish_reason on every open choice ends its streams. */
    skipDone: boolean;
    /** It is told the trace of a sampled call; others never are. */
    forwardTrace: boolean;
  };
  config: Readonly<Record<string, unknown>>;
}

/** One way to serve a model; the same object until something about it changes. */
export interface Candidate {
  provider: UpstreamProvider;
  /** The model's name there. */
  upstreamModel: string;
  /** The highest goes first. */
  priority: number;
  /** Share of the calls among equals in priority; 0 goes last among them. */
  weight: number;
  /** What it costs us there; null when not known. */
  costs: UpstreamPrices | null;
}

export interface Catalog {
  /**
   * Who can serve a model (its name, not an alias; case does not matter), the highest priority first. Empty when nobody does. Rejects when
   * Postgres is needed and away.
   */
  route(modelName: string): Promise<readonly Candidate[]>;
  /** The same without waiting; undefined when {@link Catalog.route} must be asked. */
  peek(modelName: string): readonly Candidate[] | undefined;
  /** Names of the models that are Dify apps, each once. Rejects when Postgres is needed and away. */
  difyApps(): Promise<readonly string[]>;
  /** Everyone who serves anything. Rejects when Postgres is needed and away. */
  providers(): Promise<readonly UpstreamProvider[]>;
  /** Forgets what is kept; for the copy that made a change. */
  drop(): void;
}

const MAX_AGE_MS = 60_000;
const NOBODY: readonly Candidate[] = [];

export interface CatalogDeps {
  pool: Pool;
  invalidation: Invalidation;
  secretBox: SecretBox;
  /** For providers that set none of their own. */
  timeouts: UpstreamTimeouts;
  log: Logger;
}

/** The provider with its secrets in clear. Throws when they were sealed with a key that is not configured any more, or when its template is broken. */
export function openProvider(row: ProviderRow, deps: Pick<CatalogDeps, "secretBox" | "timeouts">): UpstreamProvider {
  const values = row.api_keys.map((sealed) => deps.secretBox.open(sealed));
  const custom = row.api_format === "custom" ? customFormat.parse(row.config["custom"]) : undefined;
  return {
    id: row.id,
    name: row.name,
    baseUrl: row.base_url,
    apiRoot: apiRoot(row.base_url),
    keys: values.map((value) => ({ fingerprint: fingerprintOf(value), value })),
    apiFormat: row.api_format,
    speaks: custom?.speaks ?? (row.api_format === "custom" ? "openai" : row.api_format),
    custom,
    headers: row.headers === null ? {} : (JSON.parse(deps.secretBox.open(row.headers)) as Record<string, string>),
    timeouts: {
      connectMs: row.timeouts.connect_ms ?? deps.timeouts.connectMs,
      firstByteMs: row.timeouts.first_byte_ms ?? deps.timeouts.firstByteMs,
      wholeMs: row.timeouts.whole_ms ?? deps.timeouts.wholeMs,
      idleMs: row.timeouts.idle_ms ?? deps.timeouts.idleMs,
      totalMs: row.timeouts.total_ms ?? deps.timeouts.totalMs,
    },
    flags: { skipDone: row.config["skip_done"] === true, forwardTrace: row.config["forward_trace"] === true },
    config: row.config,
  };
}

/** Which provider serves which model, from Postgres, kept in memory and dropped by the topic `provider`. */
export function createCatalog(deps: CatalogDeps): Catalog {
  async function load(): Promise<{
    byModel: Map<string, readonly Candidate[]>;
    difyApps: readonly string[];
    providers: readonly UpstreamProvider[];
  }> {
    const { providers, models } = await activeRoutes(deps.pool);
    const opened = new Map<string, { provider: UpstreamProvider; row: ProviderRow }>();
    for (const row of providers) {
      try {
        opened.set(row.id, { provider: openProvider(row, deps), row });
      } catch (error) {
        deps.log.error({ err: error, provider: row.id }, "a provider cannot be read; it is left out");
      }
    }
    const byModel = new Map<string, Candidate[]>();
    const difyApps = new Map<string, string>();
    for (const model of models) {
      const found = opened.get(model.provider_id);
      if (!found) continue;
      const key = model.model_name.toLowerCase();
      const candidates = byModel.get(key) ?? [];
      candidates.push({
        provider: found.provider,
        upstreamModel: model.upstream_model,
        priority: found.row.priority,
        weight: found.row.weight,
        costs: upstreamPrices(model),
      });
      byModel.set(key, candidates);
      if (found.provider.speaks === "dify") difyApps.set(key, model.model_name);
    }
    for (const candidates of byModel.values()) candidates.sort((a, b) => b.priority - a.priority);
    return { byModel, difyApps: [...difyApps.values()], providers: [...opened.values()].map(({ provider }) => provider) };
  }

  const choices = createSnapshot({ invalidation: deps.invalidation, topics: ["provider"], maxAgeMs: MAX_AGE_MS, load });

  return {
    async route(modelName) {
      return (await choices.get()).byModel.get(modelName.toLowerCase()) ?? NOBODY;
    },
    peek(modelName) {
      const present = choices.peek();
      return present && (present.byModel.get(modelName.toLowerCase()) ?? NOBODY);
    },
    difyApps: async () => (await choices.get()).difyApps,
    providers: async () => (await choices.get()).providers,
    drop: choices.drop,
  };
}
