import { createFileActivities, type FileServices } from "./files.ts";
import { createIdentityActivities, type IdentityServices } from "./identity.ts";
import { createNoticeActivities, type NoticeServices } from "./notices.ts";
import { createPaymentActivities, type PaymentServices } from "./payments.ts";
import { createRewardActivities, type RewardServices } from "./rewards.ts";
import { createQuotaActivities, type QuotaServices } from "./quotas.ts";
import { createRenderActivities, type RenderServices } from "./render.ts";
import { createUsageActivities, type UsageServices } from "./usage.ts";

export { createNodeActivities } from "./render.ts";

/** What all activities need, by domain. */
export interface Services {
  files: FileServices;
  identity: IdentityServices;
  notices: NoticeServices;
  payments: PaymentServices;
  render: RenderServices;
  rewards: RewardServices;
  quotas: QuotaServices;
  usage: UsageServices;
}

/** Everything workflows may call, bound to this process's services. */
export function createActivities(services: Services) {
  return {
    ...createFileActivities(services.files),
    ...createIdentityActivities(services.identity),
    ...createNoticeActivities(services.notices),
    ...createPaymentActivities(services.payments),
    ...createRenderActivities(services.render),
    ...createRewardActivities(services.rewards),
    ...createQuotaActivities(services.quotas),
    ...createUsageActivities(services.usage),
  };
}
