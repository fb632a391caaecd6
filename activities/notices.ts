import { Context } from "@temporalio/activity";
import type { Tell, Told } from "../src/notices/index.ts";

/** What the activities of notices need. */
export interface NoticeServices {
  tell: Tell;
}

/** Notices as activities; idempotent and safe to run twice at once. */
export function createNoticeActivities({ tell }: NoticeServices) {
  return {
    /** Puts mails and webhooks about balances that crossed a threshold on their way. */
    tellNotices: (): Promise<Told> => tell.tell((told) => Context.current().heartbeat(told)),
  };
}

export type NoticeActivities = ReturnType<typeof createNoticeActivities>;
