import { recordAudit } from "../../admin/audit.ts";
import { appError, fieldError } from "../../platform/errors.ts";
import { uuidv7 } from "../../platform/ids.ts";
import { announce } from "../../platform/invalidation.ts";
import { inTransaction, uniqueViolation, type Pool, type PoolClient } from "../../platform/postgres.ts";
import type { SecretBox } from "../../platform/secrets.ts";
import { leadsToPrivate } from "./address.ts";
import { parseBaseUrl } from "./baseUrl.ts";
import { mergeCosts } from "./cost.ts";
import { presentProvider, presentProviderModel } from "./present.ts";
import * as repository from "./repository.ts";
import type { ProviderFields, ProviderModelFields, ProviderModelRow, ProviderRow } from "./repository.ts";
import type { NewProvider, NewProviderModel, ProviderChange, ProviderModelChange } from "./schema.ts";

/** Who changes something; nobody when the program itself does. */
export interface Actor {
  userId: string | null;
  traceId: string | null;
}

export interface ProviderAdmin {
  /** Adds a provider, with the models it serves when given. */
  create(provider: NewProvider, actor: Actor, models?: NewProviderModel[]): Promise<ProviderRow>;
  change(id: string, change: ProviderChange, actor: Actor): Promise<ProviderRow>;
  remove(id: string, actor: Actor): Promise<void>;
  addModel(providerId: string, model: NewProviderModel, actor: Actor): Promise<ProviderModelRow>;
  changeModel(providerId: string, id: string, change: ProviderModelChange, actor: Actor): Promise<ProviderModelRow>;
  removeModel(providerId: string, id: string, actor: Actor): Promise<void>;
}

const noProvider = () => appError("not_found", { message: "There is no such provider" });
const noModel = () => appError("not_found", { message: "This provider has no such model" });

/**
 * Changes of providers and the models they serve: each is audited and announced in its own transaction, keys and header values are
 * sealed and never leave. All throw `not_found`, and `validation_failed` for a URL that leads to a private address.
 */
export function createProviderAdmin(deps: { pool: Pool; secretBox: SecretBox; allowPrivate: boolean; changed: () => void }): ProviderAdmin {
  const { pool, secretBox } = deps;

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

  /** One change in one transaction, with its line in the audit log and its announcement. */
  async function write<T>(
    actor: Actor,
    work: (tx: PoolClient) => Promise<{ result: T; action: string; id: string; details: Record<string, unknown> }>,
  ): Promise<T> {
    try {
      return await inTransaction(pool, async (tx) => {
        const { result, action, id, details } = await work(tx);
        await recordAudit(tx, { actorId: actor.userId, action, target: `provider:${id}`, details, traceId: actor.traceId });
        await announce(tx, "provider", id);
        return result;
      });
    } catch (error) {
      if (uniqueViolation(error) === "provider_models_name") {
        const message = "is served by this provider already";
        throw appError("conflict", { message: `model_name: ${message}`, details: [{ field: "model_name", message }], cause: error });
      }
      throw error;
    } finally {
      deps.changed();
    }
  }

  /** What changed, for the audit log: the fields as shown, and whether the key or headers were replaced. */
  const providerDetails = (row: ProviderRow, change: ProviderChange) => ({
    ...presentProvider(row),
    key_replaced: change.api_key !== undefined,
    headers_replaced: change.headers !== undefined,
  });

  const modelFields = (given: NewProviderModel): ProviderModelFields => ({
    model_name: given.model_name,
    upstream_model: given.upstream_model ?? given.model_name,
    display_name: given.display_name ?? null,
    ...mergeCosts(undefined, given),
    price_currency: given.price_currency ?? "CREDITS",
    status: given.status ?? "active",
  });

  return {
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

    addModel: (providerId, given, actor) =>
      write(actor, async (tx) => {
        if (!(await repository.findProvider(tx, providerId, { lock: true }))) throw noProvider();
        const row = await repository.insertProviderModel(tx, uuidv7(), providerId, modelFields(given));
        return { result: row, action: "provider.model.create", id: providerId, details: presentProviderModel(row) };
      }),

    changeModel: (providerId, id, change, actor) =>
      write(actor, async (tx) => {
        const present = await repository.findProviderModel(tx, providerId, id, { lock: true });
        if (!present) throw noModel();
        const row = await repository.updateProviderModel(tx, id, {
          model_name: present.model_name,
          upstream_model: change.upstream_model ?? present.upstream_model,
          display_name: change.display_name === undefined ? present.display_name : change.display_name,
          ...mergeCosts(present, change),
          price_currency: change.price_currency ?? present.price_currency,
          status: change.status ?? present.status,
        });
        return { result: row, action: "provider.model.update", id: providerId, details: presentProviderModel(row) };
      }),

    removeModel: (providerId, id, actor) =>
      write(actor, async (tx) => {
        const present = await repository.findProviderModel(tx, providerId, id, { lock: true });
        if (!present || !(await repository.deleteProviderModel(tx, providerId, id))) throw noModel();
        return { result: undefined, action: "provider.model.delete", id: providerId, details: presentProviderModel(present) };
      }),
  };
}
