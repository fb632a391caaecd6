import { networkOf } from "../../platform/network.ts";

/** Where somebody was seen. */
export interface SeenDevice {
  ip: string;
  userAgent: string | null;
}

/** One side of a referral. */
export interface Party {
  id: string;
  email: string;
  devices: readonly SeenDevice[];
}

/** What speaks for one person behind two accounts, without proving it: an operator decides. */
export type Signal = "same_network" | "same_device" | "network_of_another_referral" | "referrer_not_active";

const GOOGLE = new Set(["gmail.com", "googlemail.com"]);

/**
 * The mailbox that an address reaches, as far as its form tells: without case and what follows a plus sign, and for Google's mail
 * without dots and under one name (https://support.google.com/mail/answer/7436150).
 */
export function mailboxOf(email: string): string {
  const at = email.lastIndexOf("@");
  const domain = email.slice(at + 1).toLowerCase();
  const [name = ""] = email.slice(0, at).toLowerCase().split("+");
  return GOOGLE.has(domain) ? `${name.replaceAll(".", "")}@gmail.com` : `${name}@${domain}`;
}

/** Whether both sides are plainly one person. */
export function isSelfReferral(referrer: Party, referred: Party): boolean {
  return referrer.id === referred.id || mailboxOf(referrer.email) === mailboxOf(referred.email);
}

/** Signals of one person behind both accounts. An IPv6 address stands for its /64, as in limits. */
export function signalsOf(referrer: Party, referred: Party): Signal[] {
  const places = (party: Party) =>
    party.devices.filter(({ ip }) => ip !== "").map(({ ip, userAgent }) => ({ network: networkOf(ip), userAgent }));
  const known = places(referrer);
  const seen = places(referred);
  const sameNetwork = seen.some((place) => known.some((other) => other.network === place.network));
  const sameDevice = seen.some((place) =>
    known.some((other) => other.network === place.network && place.userAgent !== null && other.userAgent === place.userAgent),
  );
  return sameDevice ? ["same_network", "same_device"] : sameNetwork ? ["same_network"] : [];
}
