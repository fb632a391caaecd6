import type { RegistrationSteps } from "../src/identity/index.ts";

/** What the activities of identity need. */
export interface IdentityServices {
  registrationSteps: RegistrationSteps;
}

/** The steps of a registration as activities; each is idempotent by the id it is given. */
export function createIdentityActivities({ registrationSteps }: IdentityServices) {
  return {
    /** Mails a code and answers its hash. An address that has an account gets another mail, and no code of its is ever right. */
    sendRegistrationCode: registrationSteps.sendCode,
    /** Mails a link and stores the hash of its token. */
    sendRegistrationLink: registrationSteps.sendLink,
    /** Makes the account whose registration was stored before its code was submitted. */
    activateByCode: registrationSteps.activateByCode,
    /** Marks the account as proven, or makes it, by a link's token. */
    activateByLink: registrationSteps.activateByLink,
    /** Posts the welcome grant, once per user. */
    grantWelcome: registrationSteps.grantWelcome,
  };
}

export type IdentityActivities = ReturnType<typeof createIdentityActivities>;
