export { usageSettlement } from "./usageSettlement.ts";
export { holdSweep } from "./holdSweep.ts";
export { grantExpiry } from "./grantExpiry.ts";
export { registrationVerification } from "./registrationVerification.ts";
export { topUp } from "./topUp.ts";
export { callbackDelivery } from "./callbackDelivery.ts";
export { rewardDelivery } from "./rewardDelivery.ts";
export { noticeDelivery } from "./noticeDelivery.ts";
