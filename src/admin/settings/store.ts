import { isDeepStrictEqual } from "node:util";
import { appError } from "../../platform/errors.ts";
import { announce, type Invalidation } from "../../platform/invalidation.ts";
import type { Logger } from "../../platform/logger.ts";
import { inTransaction, type Pool } from "../../platform/postgres.ts";
import { createSnapshot } from "../../platform/snapshot.ts";
import { problemsOf, validationError } from "../../http/validate.ts";
import { recordAudit } from "../audit.ts";
import type { Setting, SettingGroup, ValuesOf } from "./define.ts";
import { listChanges, lockSettings, storedSettings, storeSetting, type SettingChange, type StoredSetting } from "./repository.ts";

/** A setting as operators see it; values are JSON. */
export interface SettingView {
  setting: Setting;
  value: unknown;
  stored: StoredSetting | undefined;
}

export interface SettingsView {
  /** Counts the changes of all settings together. */
  version: bigint;
  settings: SettingView[];
}

/** Live settings: kept in Postgres, checked by each key's schema, in force on every copy within a second of a change. */
export interface Settings {
  /** The present values of a group, from memory except after a change. Rejects when they must be read and Postgres is away. */
  read<G extends SettingGroup>(group: G): Promise<ValuesOf<G>>;
  list(): Promise<SettingsView>;
  /**
   * Changes some keys together; null takes one back to its default. One transaction with history and audit. Throws `conflict` when
   * `version` is not the present one, `validation_failed` naming `settings.<key>`.
   */
  change(
    actor: { userId: string; traceId: string },
    request: { version: bigint; reason: string; values: Readonly<Record<string, unknown>> },
  ): Promise<SettingsView>;
  /** Newest first. */
  history(filter: { key?: string | undefined; page: number; page_size: number }): Promise<{ items: SettingChange[]; total: number }>;
}

interface Loaded {
  view: SettingsView;
  values: Map<string, unknown>;
}

const MAX_AGE_MS = 60_000;

/** Puts the store together. `fallbacks` replaces defaults by key, for those that the environment gives. Throws when a default is bad. */
export function createSettings(deps: {
  pool: Pool;
  invalidation: Invalidation;
  log: Logger;
  groups: readonly SettingGroup[];
  fallbacks?: Readonly<Record<string, unknown>>;
}): Settings {
  const { pool, log, fallbacks = {} } = deps;
  const known = new Map<string, { setting: Setting; standard: unknown }>();
  for (const given of deps.groups.flatMap((group) => Object.values(group))) {
    if (known.has(given.key)) throw new Error(`the setting ${given.key} is declared twice`);
    const setting = { ...given, fallback: fallbacks[given.key] ?? given.fallback };
    known.set(given.key, { setting, standard: setting.schema.parse(setting.fallback) });
  }

  async function load(): Promise<Loaded> {
    const { version, stored } = await storedSettings(pool);
    const byKey = new Map(stored.map((row) => [row.key, row]));
    const values = new Map<string, unknown>();
    const settings: SettingView[] = [];
    for (const [key, { setting, standard }] of known) {
      const row = byKey.get(key);
      const parsed = row && setting.schema.safeParse(row.value);
      // A release that is stricter than the one that stored it.
      if (parsed?.success === false) log.error({ setting: key }, "a stored setting is not valid any more; its default counts");
      const good = parsed?.success === true;
      values.set(key, good ? parsed.data : standard);
      settings.push({ setting, value: good ? row!.value : setting.fallback, stored: good ? row : undefined });
    }
    return { view: { version, settings }, values };
  }

  const snapshot = createSnapshot({ invalidation: deps.invalidation, topics: ["settings"], maxAgeMs: MAX_AGE_MS, load });

  function check(values: Readonly<Record<string, unknown>>): void {
    const problems = Object.entries(values).flatMap(([key, value]) => {
      const field = `settings.${key}`;
      const schema = known.get(key)?.setting.schema;
      if (!schema) return [{ field, message: "is not a setting" }];
      const parsed = value === null ? undefined : schema.safeParse(value);
      if (parsed === undefined || parsed.success) return [];
      return problemsOf(parsed.error, "").map((problem) => ({ ...problem, field: problem.field ? `${field}.${problem.field}` : field }));
    });
    if (problems.length > 0) throw validationError(problems);
  }

  return {
    async read<G extends SettingGroup>(group: G) {
      const { values } = snapshot.peek() ?? (await snapshot.get());
      return Object.fromEntries(Object.entries(group).map(([name, { key }]) => [name, values.get(key)])) as ValuesOf<G>;
    },

    // Always from the database: whoever edits must see the newest.
    list: async () => (await load()).view,

    async change(actor, { version: expected, reason, values }) {
      check(values);
      await inTransaction(pool, async (tx) => {
        await lockSettings(tx);
        const { version, stored } = await storedSettings(tx);
        if (version !== expected) {
          throw appError("conflict", {
            message: `version: the settings have changed since version ${expected}; read them again`,
            details: { version: Number(version) },
          });
        }
        const before = new Map(stored.map((row) => [row.key, row.value]));
        const changes = Object.entries(values)
          .map(([key, value]) => ({ key, value, previous: before.get(key) ?? null }))
          .filter(({ value, previous }) => !isDeepStrictEqual(value, previous));
        if (changes.length === 0) return;
        for (const change of changes) await storeSetting(tx, { ...change, version: version + 1n, author_id: actor.userId, reason });
        const details = { version: Number(version + 1n), reason, changes };
        await recordAudit(tx, { actorId: actor.userId, action: "settings.change", target: "settings", details, traceId: actor.traceId });
        await announce(tx, "settings", "live");
      });
      snapshot.drop();
      return (await load()).view;
    },

    history: ({ key, page, page_size }) => listChanges(pool, { key, limit: page_size, offset: (page - 1) * page_size }),
  };
}
