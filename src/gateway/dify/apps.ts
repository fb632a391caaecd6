import type { CallerKey } from "../../identity/index.ts";
import { usualApp } from "../formats/dify/apps.ts";
import { notFound, ownThings } from "../formats/dify/owner.ts";
import type { NamedThing } from "../formats/dify/things.ts";
import type { RelayDeps } from "../pipeline/deps.ts";
import { failure, type Failure } from "../pipeline/failure.ts";
import type { Candidate } from "../providers/index.ts";

/** Where a request that costs nothing goes, and by what name the app is known here. */
export interface AppPlace {
  candidate: Candidate;
  model: string;
}

/** The app that a caller means: the one that has the things named, else the one named, else the caller's usual one. */
export async function findApp(
  deps: Pick<RelayDeps, "catalog" | "pricing" | "owned">,
  caller: CallerKey,
  owner: string,
  ask: { named: string | undefined; things: readonly NamedThing[] },
): Promise<AppPlace | Failure> {
  const rows = ask.things.length > 0 ? await ownThings(deps, owner, ask.things) : [];
  if ("code" in rows) return rows;
  const chosen = rows[0]?.model ?? ask.named ?? (await usualApp(deps, caller));
  if (typeof chosen !== "string") return chosen;
  const model = await deps.pricing.model(chosen);
  const name = model?.name ?? chosen;
  const { modelSet } = caller;
  if (modelSet && !modelSet.has(chosen.toLowerCase()) && !modelSet.has(name.toLowerCase())) {
    return failure("model_not_allowed", { param: "model" });
  }
  if (!model) return failure("model_not_found", { message: "There is no such app", param: "model" });
  const candidates = (await deps.catalog.route(name)).filter(({ provider }) => provider.speaks === "dify");
  const candidate = rows[0] ? candidates.find(({ provider }) => provider.id === rows[0]!.providerId) : candidates[0];
  if (candidate) return { candidate, model: name };
  if (rows[0]) return notFound("What the request names");
  return failure("model_not_found", { message: "There is no such Dify app", param: "model" });
}
