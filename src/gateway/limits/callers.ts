import type { CallerKey } from "../../identity/index.ts";
import { checksOf, planOf, requestsOnly } from "./plan.ts";
import type { Plan } from "./types.ts";

/** What a caller's own limits ask of its calls. */
export interface CallerPlans {
  full: Plan;
  /** Of requests that use no tokens and do not run on. */
  requests: Plan;
}

/** Made once for each key that is known here: a key that changes is another object. */
const plans = new WeakMap<CallerKey["limits"], CallerPlans>();

/** A caller's own limits. Counters carry the user as hash tag, so that all of one user's live on one node of a cluster. */
export function plansOf(caller: CallerKey): CallerPlans {
  const known = plans.get(caller.limits);
  if (known) return known;
  const { user, key, token } = caller.limits;
  const root = `tk:{u:${caller.principal.userId}}`;
  const full = planOf([
    ...checksOf("user", root, user),
    ...checksOf("key", `${root}:k:${caller.keyId}`, key),
    ...(token && caller.tokenId !== null ? checksOf("token", `${root}:e:${caller.tokenId}`, token) : []),
  ]);
  const made = { full, requests: requestsOnly(full) };
  plans.set(caller.limits, made);
  return made;
}
