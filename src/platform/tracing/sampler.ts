import type { RemoteParent } from "./traceparent.ts";
import type { SamplerName } from "./types.ts";

/** Decides whether a request is traced: by its caller's decision, if that counts and there is one, else by the end of its id. */
export type Sampler = (parent: RemoteParent | undefined, id: string) => boolean;

/**
 * Makes the sampler. The last 32 bits of an id are random in both a UUID and a trace id, so that services that sample by ratio decide alike
 * for one trace; nothing is drawn and nothing is allocated.
 */
export function createSampler(name: SamplerName, ratio: number): Sampler {
  const below = ratio * 2 ** 32;
  const root = (id: string): boolean => {
    if (name.endsWith("always_on")) return true;
    if (name.endsWith("always_off")) return false;
    return Number.parseInt(id.slice(-8), 16) < below;
  };
  const byParent = name.startsWith("parentbased_");
  return (parent, id) => (parent && byParent ? parent.sampled : root(parent?.traceId ?? id));
}
