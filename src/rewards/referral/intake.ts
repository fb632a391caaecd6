import { uuidv7 } from "../../platform/ids.ts";
import { networkOf } from "../../platform/network.ts";
import type { Queryable } from "../../platform/postgres.ts";
import { deletePending, insertReferral, networkSeen, ownerOfCode } from "./repository.ts";
import { isSelfReferral, signalsOf, type Party, type Signal } from "./rules.ts";

/** What registration tells about who brought somebody. Nothing here refuses a registration. */
export interface ReferralIntake {
  /** Whose code it is; case does not matter. */
  ownerOf(db: Queryable, code: string): Promise<string | undefined>;
  /**
   * Records a referral in the transaction that makes the account, once per referred person. A self-referral is recorded as refused:
   * a refusal of the registration would tell whose address is behind a code.
   */
  attach(tx: Queryable, referral: { code: string; referrer: Party; referred: Party }): Promise<void>;
  /** Forgets what an unproven registration said, when the account goes to whoever proved its address. */
  detach(tx: Queryable, referredId: string): Promise<void>;
}

/** Referrals of one person from one place within this time are looked at. */
const FARM_WINDOW_MS = 30 * 86_400_000;

export const referralIntake: ReferralIntake = {
  ownerOf: ownerOfCode,

  async attach(tx, { code, referrer, referred }) {
    const ip = referred.devices[0]?.ip ?? "";
    const network = ip === "" ? null : networkOf(ip);
    const self = isSelfReferral(referrer, referred);
    if (referrer.id === referred.id) return;
    const signals: Signal[] = signalsOf(referrer, referred);
    if (network !== null && (await networkSeen(tx, referrer.id, network, new Date(Date.now() - FARM_WINDOW_MS)))) {
      signals.push("network_of_another_referral");
    }
    await insertReferral(tx, {
      id: uuidv7(),
      referrer_id: referrer.id,
      referred_id: referred.id,
      code: code.toUpperCase(),
      status: self ? "refused" : "pending",
      reason: self ? "self_referral" : null,
      signals,
      network,
    });
  },

  detach: deletePending,
};
