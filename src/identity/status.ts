/** What decides whether somebody may sign in and call. */
export type UserStatus = "active" | "suspended" | "closed";

/** The status now: a suspension with an end ends by itself. */
export function statusAt(status: UserStatus, suspendedUntil: Date | null, now: number): UserStatus {
  return status === "suspended" && suspendedUntil !== null && suspendedUntil.getTime() <= now ? "active" : status;
}
