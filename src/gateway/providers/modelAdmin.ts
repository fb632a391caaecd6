import { appError } from "../../platform/errors.ts";
import { uuidv7 } from "../../platform/ids.ts";
import { mergeCosts } from "./cost.ts";
import { presentProviderModel } from "./present.ts";
import * as repository from "./repository.ts";
import type { ProviderModelFields, ProviderModelRow } from "./repository.ts";
import type { ImportRequest, NewProviderModel, ProviderModelChange } from "./schema.ts";
import { noProvider, type Actor, type Write } from "./write.ts";

/** Changes of the models that providers serve. All throw `not_found`, and `conflict` for a name that the provider serves already. */
export interface ModelAdmin {
  addModel(providerId: string, model: NewProviderModel, actor: Actor): Promise<ProviderModelRow>;
  /** Adds those that the provider does not serve yet; the names of the others are `skipped`. */
  importModels(
    providerId: string,
    models: ImportRequest["models"],
    actor: Actor,
  ): Promise<{ imported: ProviderModelRow[]; skipped: string[] }>;
  changeModel(providerId: string, id: string, change: ProviderModelChange, actor: Actor): Promise<ProviderModelRow>;
  removeModel(providerId: string, id: string, actor: Actor): Promise<void>;
}

const noModel = () => appError("not_found", { message: "This provider has no such model" });

/** The row of a new model. */
export const modelFields = (given: NewProviderModel): ProviderModelFields => ({
  model_name: given.model_name,
  upstream_model: given.upstream_model ?? given.model_name,
  display_name: given.display_name ?? null,
  ...mergeCosts(undefined, given),
  price_currency: given.price_currency ?? "CREDITS",
  status: given.status ?? "active",
});

/** See {@link ModelAdmin}. */
export function createModelAdmin(write: Write): ModelAdmin {
  return {
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

    importModels: (providerId, given, actor) =>
      write(actor, async (tx) => {
        if (!(await repository.findProvider(tx, providerId, { lock: true }))) throw noProvider();
        const served = new Set((await repository.allProviderModels(tx, providerId)).map((row) => row.model_name.toLowerCase()));
        const imported: ProviderModelRow[] = [];
        const skipped: string[] = [];
        for (const { upstream_model, model_name = upstream_model, display_name } of given) {
          const key = model_name.toLowerCase();
          if (served.has(key)) {
            skipped.push(model_name);
            continue;
          }
          served.add(key);
          imported.push(
            await repository.insertProviderModel(tx, uuidv7(), providerId, modelFields({ model_name, upstream_model, display_name })),
          );
        }
        const details = { imported: imported.map(presentProviderModel), skipped };
        return { result: { imported, skipped }, action: "provider.models.import", id: providerId, details };
      }),
  };
}
