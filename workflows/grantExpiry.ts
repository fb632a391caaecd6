import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { UsageActivities } from "../activities/usage.ts";
import { HOUSEKEEPING } from "./timeouts.ts";

const { expireGrants } = proxyActivities<UsageActivities>(HOUSEKEEPING);

/** Takes back what is left of grants whose time is over. */
export async function grantExpiry(): Promise<{ expired: number }> {
  const result = await expireGrants();
  setCurrentDetails(`${result.expired} grants expired`);
  return result;
}
