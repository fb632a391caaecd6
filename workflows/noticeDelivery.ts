import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { NoticeActivities } from "../activities/notices.ts";
import { TELL_NOTICES } from "./timeouts.ts";

const { tellNotices } = proxyActivities<NoticeActivities>(TELL_NOTICES);

/** Tells people whose balance crossed one of their thresholds, and takes up webhooks whose try was lost. */
export async function noticeDelivery(): Promise<{ notices: number; disabled: number; requeued: number; failed: number }> {
  const told = await tellNotices();
  setCurrentDetails(
    `${told.notices} notices told, ${told.disabled} webhooks said to be off, ${told.requeued} tries queued, ${told.failed} failed`,
  );
  return told;
}
