import { settingsOf } from "../formats/dify/apps.ts";
import type { RelayDeps } from "../pipeline/deps.ts";

/** What is held for a first call of a Dify app beside its prompt. Nothing in a request lowers it: Dify takes no cap. */
export interface AppHold {
  /** What the app may add to the prompt; a conversation that goes on is held for what was said in it instead. */
  unseenTokens: number;
  outputTokens: number;
}

/** What admission holds for calls of a model that is a Dify app and nothing else; undefined for other models. `name` is its own. */
export function createAppHolds(
  deps: Pick<RelayDeps, "catalog" | "pricing"> & { defaultMaxOutputTokens: number },
): (name: string) => Promise<AppHold | undefined> {
  return async (name) => {
    const candidates = await deps.catalog.route(name);
    if (candidates.length === 0 || candidates.some(({ provider }) => provider.speaks !== "dify")) return undefined;
    const [{ unseenTokens }, model] = await Promise.all([settingsOf(deps, name), deps.pricing.model(name)]);
    return { unseenTokens, outputTokens: model?.maxOutputTokens ?? deps.defaultMaxOutputTokens };
  };
}
