import type { ProviderModelRow } from "./repository.ts";

/** What became of a model between the provider and us. */
export interface DiscoveredModel {
  upstream_model: string;
  state: "new" | "known" | "gone";
  /** Under which it is served here. */
  model_names: string[];
}

/** Compares what a provider offers with what it serves here, in the order of names. */
export function compareModels(
  offered: readonly string[],
  served: readonly Pick<ProviderModelRow, "upstream_model" | "model_name">[],
): DiscoveredModel[] {
  const names = new Map<string, string[]>();
  for (const { upstream_model, model_name } of served) names.set(upstream_model, [...(names.get(upstream_model) ?? []), model_name]);
  const there = new Set(offered);
  const all = [...new Set([...there, ...names.keys()])].sort();
  return all.map((upstream_model) => {
    const model_names = names.get(upstream_model) ?? [];
    return { upstream_model, state: !there.has(upstream_model) ? "gone" : model_names.length > 0 ? "known" : "new", model_names };
  });
}
