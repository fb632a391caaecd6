import type { IncomingMessage } from "node:http";
import type { CallerKey } from "../../../identity/index.ts";
import type { RelayDeps } from "../../pipeline/deps.ts";
import { failure, type Failure } from "../../pipeline/failure.ts";
import { isObject } from "../checks.ts";
import type { Parting } from "./usage.ts";

/** The model that an app is called here, as a caller may name it beside the body: a header, or the query. */
export function namedApp(req: Pick<IncomingMessage, "headers" | "url">): string | undefined {
  const header = req.headers["x-dify-app"];
  if (typeof header === "string" && header !== "") return header;
  const url = req.url ?? "";
  const at = url.indexOf("?");
  if (at < 0) return undefined;
  const query = new URLSearchParams(url.slice(at));
  return query.get("model") || query.get("app") || undefined;
}

type AppDeps = Pick<RelayDeps, "catalog" | "pricing">;

/**
 * The app of a caller who names none: the one Dify app among the models of its key, or the only one there is. A failure where several are
 * possible.
 */
export async function usualApp(deps: AppDeps, caller: CallerKey): Promise<string | Failure> {
  const apps = await deps.catalog.difyApps();
  const allowed = caller.modelSet ? await allowedApps(deps, caller.modelSet, apps) : apps;
  if (allowed.length === 1) return allowed[0]!;
  return failure("validation_failed", {
    message:
      allowed.length === 0
        ? "This key may use no Dify app"
        : "Several Dify apps are possible: send the app's model name as x-dify-app, or use a key with this one model",
    param: "model",
    vendor: { type: null, code: "app_unavailable" },
  });
}

/** A key may name an app by an alias. */
async function allowedApps(deps: AppDeps, names: ReadonlySet<string>, apps: readonly string[]): Promise<string[]> {
  const known = new Set<string>();
  for (const name of names) known.add(((await deps.pricing.model(name))?.name ?? name).toLowerCase());
  return apps.filter((app) => known.has(app.toLowerCase()));
}

/** What an operator has set for an app, see config.dify of its provider. */
export interface AppSettings {
  inputPercent: Parting["inputPercent"];
  unseenTokens: number;
}

export const USUAL_SETTINGS: AppSettings = { inputPercent: 50, unseenTokens: 2_000 };

export async function settingsOf(deps: AppDeps, name: string): Promise<AppSettings> {
  const model = (await deps.pricing.model(name))?.name ?? name;
  const candidate = (await deps.catalog.route(model)).find(({ provider }) => provider.speaks === "dify");
  const set = candidate?.provider.config["dify"];
  if (!isObject(set)) return USUAL_SETTINGS;
  const { input_percent: inputPercent, unseen_tokens: unseenTokens } = set;
  return {
    inputPercent: typeof inputPercent === "number" ? inputPercent : USUAL_SETTINGS.inputPercent,
    unseenTokens: typeof unseenTokens === "number" ? unseenTokens : USUAL_SETTINGS.unseenTokens,
  };
}
