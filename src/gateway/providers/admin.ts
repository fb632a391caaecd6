import { fieldError } from "../../platform/errors.ts";
import { uuidv7 } from "../../platform/ids.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { SecretBox } from "../../platform/secrets.ts";
import { leadsToPrivate } from "../../platform/addresses.ts";
import { parseBaseUrl } from "./baseUrl.ts";
import { createKeyAdmin, type KeyAdmin } from "./keyAdmin.ts";
import { createModelAdmin, modelFields, type ModelAdmin } from "./modelAdmin.ts";
import { presentProvider } from "./present.ts";
import * as repository from "./repository.ts";
import type { ProviderFields, ProviderRow } from "./repository.ts";
import type { NewProvider, NewProviderModel, ProviderChange } from "./schema.ts";
import { createWriter, noProvider, type Actor } from "./write.ts";

export interface ProviderAdmin extends ModelAdmin, KeyAdmin {
  /** Adds a provider, with the models it serves when given. */
  create(provider: NewProvider, actor: Actor, models?: NewProviderModel[]): Promise<ProviderRow>;
  change(id: string, change: ProviderChange, actor: Actor): Promise<ProviderRow>;
  remove(id: string, actor: Actor): Promise<void>;
}

/**
 * Changes of providers and the models they serve: each is audited and announced in its own transaction, keys and header values are
 * sealed and never leave. All throw `not_found`, and `validation_failed` for a URL that leads to a private address.
 */
export function createProviderAdmin(deps: { pool: Pool; secretBox: SecretBox; allowPrivate: boolean; changed: () => void }): ProviderAdmin {
  const { secretBox } = deps;
  const write = createWriter(deps.pool, deps.changed);

  /** The stored form of a base URL. Names are resolved here, before the transaction: DNS may be slow. */
  async function checkedUrl(text: string): Promise<string> {
    const parsed = parseBaseUrl(text);
    if (!parsed.ok) throw fieldError("base_url", parsed.problem);
    if (!deps.allowPrivate && (await leadsToPrivate(parsed.host))) throw fieldError("base_url", "must not lead to a private address");
    return parsed.baseUrl;
  }

  function sealed(change: ProviderChange): Partial<Pick<ProviderFields, "api_keys" | "headers" | "header_names">> {
    return {
      ...(change.api_key === undefined ? {} : { api_keys: [secretBox.seal(change.api_key)] }),
      ...(change.headers === undefined
        ? {}
        : { headers: secretBox.seal(JSON.stringify(change.headers)), header_names: Object.keys(change.headers).sort() }),
    };
  }

  function merge(present: ProviderFields, change: ProviderChange, baseUrl: string | undefined): ProviderFields {
    const config = change.config ?? present.config;
    const format = change.api_format ?? present.api_format;
    if ((format === "custom") !== (config["custom"] !== undefined))
      throw fieldError("config.custom", format === "custom" ? "is required for the format custom" : "is for the format custom alone");
    return {
      name: change.name ?? present.name,
      base_url: baseUrl ?? present.base_url,
      api_keys: present.api_keys,
      api_format: format,
      status: change.status ?? present.status,
      priority: change.priority ?? present.priority,
      weight: change.weight ?? present.weight,
      timeouts: change.timeouts ?? present.timeouts,
      headers: present.headers,
      header_names: present.header_names,
      config,
      ...sealed(change),
    };
  }

  /** What changed, for the audit log: the fields as shown, and whether the key or headers were replaced. */
  const providerDetails = (row: ProviderRow, change: ProviderChange) => ({
    ...presentProvider(row),
    key_replaced: change.api_key !== undefined,
    headers_replaced: change.headers !== undefined,
  });

  return {
    ...createModelAdmin(write),
    ...createKeyAdmin(write, secretBox),

    async create(given, actor, models = []) {
      const baseUrl = await checkedUrl(given.base_url);
      return write(actor, async (tx) => {
        const blank: ProviderFields = {
          name: given.name,
          base_url: baseUrl,
          api_keys: [],
          api_format: "openai",
          status: "active",
          priority: 0,
          weight: 1,
          timeouts: {},
          headers: null,
          header_names: [],
          config: {},
        };
        const row = await repository.insertProvider(tx, uuidv7(), merge(blank, given, baseUrl));
        for (const model of models) await repository.insertProviderModel(tx, uuidv7(), row.id, modelFields(model));
        return { result: row, action: "provider.create", id: row.id, details: providerDetails(row, given) };
      });
    },

    async change(id, change, actor) {
      const baseUrl = change.base_url === undefined ? undefined : await checkedUrl(change.base_url);
      return write(actor, async (tx) => {
        const present = await repository.findProvider(tx, id, { lock: true });
        if (!present) throw noProvider();
        const row = await repository.updateProvider(tx, id, merge(present, change, baseUrl));
        return { result: row, action: "provider.update", id, details: providerDetails(row, change) };
      });
    },

    remove: (id, actor) =>
      write(actor, async (tx) => {
        const present = await repository.findProvider(tx, id, { lock: true });
        if (!present || !(await repository.deleteProvider(tx, id))) throw noProvider();
        return { result: undefined, action: "provider.delete", id, details: presentProvider(present) };
      }),
  };
}
