import type { Settings } from "../admin/settings/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Payouts } from "./payouts.ts";
import { welcomeSettings } from "./settings.ts";

/** Gives a new account its welcome, once per account by the id of its transfer, also when the setting changes between two tries. */
export function createWelcome(deps: { settings: Settings; payouts: Payouts; clock: Clock }): (userId: string) => Promise<void> {
  return async (userId) => {
    const { credits, expiresDays } = await deps.settings.read(welcomeSettings);
    await deps.payouts.run((_tx, pay) =>
      pay({
        id: `welcome:${userId}`,
        kind: "welcome",
        userId,
        amount: credits,
        at: deps.clock.now(),
        description: "Welcome grant",
        reference: `user:${userId}`,
        expiresDays,
      }),
    );
  };
}
