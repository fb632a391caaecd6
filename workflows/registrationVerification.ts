import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  isCancellation,
  log,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  uuid4,
} from "@temporalio/workflow";
import type { IdentityActivities } from "../activities/identity.ts";
import {
  Verification,
  type Mailed,
  type Resend,
  type Submission,
  type SubmitOutcome,
  type VerificationInput,
  type VerificationView,
} from "./registrationState.ts";
import { ACTIVATE_ACCOUNT, QUEUE_PROOF_MAIL, WELCOME_GRANT } from "./timeouts.ts";

const { sendRegistrationCode, sendRegistrationLink } = proxyActivities<IdentityActivities>(QUEUE_PROOF_MAIL);
const { activateByCode, activateByLink } = proxyActivities<IdentityActivities>(ACTIVATE_ACCOUNT);
const { grantWelcome } = proxyActivities<IdentityActivities>(WELCOME_GRANT);

/** How long a submitted code waits for a mail that is being queued: with the mail in hand it is a moment. */
const MAIL_WAIT = "5s";

/** Asks for a code or a link to be mailed; also what starts the workflow. */
export const resend = defineSignal<[Resend]>("resend");
/** Hands in a code or a link's token, both hashed; the answer comes after the account exists. */
export const submit = defineUpdate<SubmitOutcome, [Submission]>("submit");
/** Where the verification stands, without anything secret. */
export const view = defineQuery<VerificationView>("view");

/**
 * Proves that somebody receives mail at an address, then activates the account: mails what `resend` asks for, takes what `submit`
 * brings, counts wrong tries, and ends when the account is active or nothing that was mailed can be used any more.
 */
export async function registrationVerification(input: VerificationInput): Promise<VerificationView> {
  const verification = new Verification(input, Date.now());

  async function mail(request: Resend): Promise<Mailed> {
    const common = { email: input.email, locale: request.locale, sendId: uuid4() };
    try {
      if (request.kind === "code") return await sendRegistrationCode({ ...common, ttlMs: input.codeTtlMs });
      return await sendRegistrationLink({
        ...common,
        registrationId: request.registrationId,
        reason: request.reason,
        ttlMs: input.linkTtlMs,
      });
    } catch (error) {
      if (isCancellation(error)) throw error;
      // The mail queue was away for too long. Whoever still waits asks again.
      log.warn("a mail could not be queued", { kind: request.kind });
      return { kind: "nothing" };
    }
  }

  async function activate(submission: Submission): Promise<SubmitOutcome> {
    const result =
      submission.kind === "code"
        ? await activateByCode({ email: input.email, registrationId: submission.registrationId })
        : await activateByLink({ email: input.email, tokenHash: submission.tokenHash });
    if (result.kind !== "activated") return result;
    upsertSearchAttributes({ UserId: [result.userId] });
    if (input.welcome) await grantWelcome({ userId: result.userId });
    return result;
  }

  setHandler(view, () => verification.view());
  setHandler(resend, (request) => verification.ask(request));
  setHandler(
    submit,
    async (submission) => {
      if (submission.kind === "code") await condition(() => !verification.busy, MAIL_WAIT);
      const verdict = verification.take(submission, Date.now());
      if (verdict !== "try_it") return { kind: verdict };
      const outcome = await activate(submission);
      verification.settle(submission, outcome);
      setCurrentDetails(verification.describe());
      return outcome;
    },
    {
      validator(submission) {
        const problem = verification.refuses(submission, Date.now());
        if (problem) throw ApplicationFailure.nonRetryable(problem, "NothingToSubmit");
      },
    },
  );

  for (;;) {
    const request = verification.nextRequest(Date.now());
    if (request) {
      verification.mailed(await mail(request), Date.now());
      setCurrentDetails(verification.describe());
      continue;
    }
    const waitMs = verification.msLeft(Date.now());
    if (verification.finished || waitMs <= 0) break;
    await condition(() => verification.finished || verification.asked, waitMs);
  }
  verification.close();
  await condition(allHandlersFinished);
  setCurrentDetails(verification.describe());
  return verification.view();
}
