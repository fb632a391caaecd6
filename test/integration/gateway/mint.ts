import { createChanges } from "../../../src/identity/changes.ts";
import { createEndUserTokens } from "../../../src/identity/endUserTokens.ts";
import type { Customer, Relay } from "./harness.ts";

/** A token for an end user of this customer's, with a budget of 500 credits. */
export async function mintToken(relay: Relay, customer: Customer, endUser: string | null = null): Promise<string> {
  const tokens = createEndUserTokens({ pool: relay.pool, ledger: relay.ledger, changes: createChanges(relay.invalidation) });
  const settings = { ttlSeconds: 600, budget: 500_000_000n, limits: {}, models: null, allowedIps: null, endUser };
  return (await tokens.mint(customer.keyId, settings)).token;
}
