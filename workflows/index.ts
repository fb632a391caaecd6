export { usageSettlement } from "./usageSettlement.ts";
export { holdSweep } from "./holdSweep.ts";
export { grantExpiry } from "./grantExpiry.ts";
export { registrationVerification } from "./registrationVerification.ts";
