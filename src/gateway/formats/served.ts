import type { Speaks } from "../pipeline/format.ts";
import { FORMATS } from "./index.ts";

/**
 * The routes at which a model can be called whose providers speak this, as calls have them on record: where it can take the place of another
 * model. Nowhere for a Dify app: it is a whole application, which none takes the place of.
 */
export function routesServed(spoken: readonly Speaks[]): ReadonlySet<string> {
  const fits = (speaks: Speaks): boolean => speaks !== "dify" && spoken.includes(speaks);
  return new Set(FORMATS.filter((format) => format.speaks.some(fits)).map(({ route }) => route));
}
