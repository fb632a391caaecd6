/** Who is calling, as far as the HTTP layer and the domains need to know. */
export interface Principal {
  userId: string;
  /** Ledger account id of the wallet that pays. */
  walletId: bigint;
  roles: readonly Role[];
  emailVerified: boolean;
  /** The session of an access token; undefined for an API key. */
  sessionId?: string;
  /** The API key used; undefined for an access token. */
  apiKeyId?: string;
}

export const ROLES = ["user", "support", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** Operators and admins run the product; support reads. */
export function isOperator(principal: Principal): boolean {
  return principal.roles.includes("operator") || principal.roles.includes("admin");
}
