import { codeIn, identityRig, PASSWORD, tokenIn, type Rig } from "../integration/identity/harness.ts";
import { registrationWorkflowId } from "../../src/identity/registration.ts";
import { MICRO } from "../../src/platform/credits.ts";
import { cleanUp } from "../support/cleanup.ts";
import { freshDatabase, freshNamespace, freshRedis } from "../support/fresh.ts";
import { saveHistory } from "../support/histories.ts";
import { infra, startInfra } from "../support/infra.ts";

/** Records real histories of `registrationVerification` for the replay test: `node dist/test/replay/recordRegistration.js [release]`. */
const release = process.argv[2] ?? "first";

async function byCode(rig: Rig, email: string): Promise<void> {
  await rig.call("POST", "/api/auth/email-code", { email, purpose: "register" });
  const code = codeIn(await rig.mail(email, "email_code"));
  for (const tried of [code === "000000" ? "111111" : "000000", code]) {
    await rig.call("POST", "/api/auth/register", { email, code: tried, username: "recorded", password: PASSWORD });
  }
}

async function byLink(rig: Rig, email: string): Promise<void> {
  await rig.call("POST", "/api/user/register", { email, username: "linked", password: PASSWORD });
  const link = tokenIn(await rig.mail(email, "verify_link"));
  await rig.call("GET", `/api/user/verify-email?token=${link}`);
}

await startInfra();
const [databaseUrl, redisUrl, namespace] = [await freshDatabase(), await freshRedis(), await freshNamespace()];
const places = { databaseUrl, redisUrl, namespace, temporalAddress: infra().temporalAddress };
const rig = await identityRig(places, { worker: true, settings: { CODE_TTL: 2_000, CODE_RESEND_AFTER: 0, WELCOME_CREDITS: MICRO } });
try {
  const ways: [string, (rig: Rig, email: string) => Promise<unknown>][] = [
    ["code", byCode],
    ["link", byLink],
    ["expired", (rig, email) => rig.call("POST", "/api/auth/email-code", { email, purpose: "register" })],
    ["known", (rig) => rig.call("POST", "/api/auth/email-code", { email: rig.admin.email, purpose: "register" })],
  ];
  for (const [name, run] of ways) {
    const email = name === "known" ? rig.admin.email : `${name}@example.com`;
    await run(rig, email);
    const handle = rig.temporal.client.workflow.getHandle(registrationWorkflowId(email));
    await handle.result();
    await saveHistory(handle, `registrationVerification-${name}`, release);
  }
} finally {
  await rig.close();
  await cleanUp();
}
process.exit(0);
