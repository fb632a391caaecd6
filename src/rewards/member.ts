import type { UserView } from "../identity/index.ts";
import { appError } from "../platform/errors.ts";

/** What the rules of rewards look at in a person. */
export interface Member {
  id: string;
  active: boolean;
  tier: string;
  timeZone: string;
  /** When the account was made. */
  since: Date;
}

export type FindMember = (userId: string) => Promise<Member | undefined>;

/** Reads people through identity. */
export function createFindMember(getUser: (id: string) => Promise<UserView | undefined>): FindMember {
  return async (userId) => {
    const user = await getUser(userId);
    return (
      user && {
        id: user.id,
        active: user.status === "active" && user.email_verified,
        tier: user.tier,
        timeZone: user.time_zone,
        since: new Date(user.created_at),
      }
    );
  };
}

/** The same for whoever is signed in. */
export async function memberOrThrow(find: FindMember, userId: string): Promise<Member> {
  const member = await find(userId);
  if (!member) throw appError("not_found");
  return member;
}
