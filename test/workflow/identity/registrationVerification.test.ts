import { expect } from "chai";
import { registrationWorkflowId } from "../../../src/identity/registration.ts";
import type { RegistrationSteps } from "../../../src/identity/index.ts";
import type { VerificationView } from "../../../workflows/registrationState.ts";
import { identityRig, codeIn, PASSWORD, startWorker, tokenIn, type Rig, type Tokens } from "../../integration/identity/harness.ts";
import { unique } from "../../support/people.ts";
import { useStack, waitFor } from "../../support/stack.ts";

const address = () => `${unique("ada")}@example.com`;

describe("the registration workflow", () => {
  const places = useStack({ namespace: true });
  let rig: Rig;
  let broken = false;
  before(async () => {
    rig = await identityRig(places, {
      settings: { CODE_RESEND_AFTER: 0, CODE_TTL: 1_500 },
      notify: (mails) => ({
        async email(mail) {
          if (broken) throw new Error("the queue is away");
          mails.push(mail);
        },
      }),
    });
  });
  after(() => rig.close());

  const ask = (email: string) => rig.call("POST", "/api/auth/email-code", { email, purpose: "register" });
  const register = (email: string, code: string) => rig.call<Tokens>("POST", "/api/auth/register", { email, code, password: PASSWORD });
  const handle = (email: string) => rig.temporal.client.workflow.getHandle(registrationWorkflowId(email));
  const view = (email: string) => handle(email).query<VerificationView, []>("view");
  async function withWorker<T>(steps: Partial<RegistrationSteps>, work: () => Promise<T>): Promise<T> {
    const stop = startWorker(places, rig.temporal, { ...rig.identity.registrationSteps, ...steps });
    try {
      return await work();
    } finally {
      await stop();
    }
  }

  it("a worker that dies between using up the code and making the account loses neither", async () => {
    const email = address();
    let tried = 0;
    const { code, answer } = await withWorker(
      {
        activateByCode: () => {
          tried += 1;
          return Promise.reject(new Error("the database went away"));
        },
      },
      async () => {
        await ask(email);
        const code = codeIn(await rig.mail(email, "email_code"));
        const answer = register(email, code);
        await waitFor(() => tried > 0);
        return { code, answer };
      },
    );
    await withWorker({}, async () => {
      expect((await answer).status).to.equal(201);
      expect((await register(email, code)).status).to.equal(400);
      expect(await handle(email).result()).to.include({ state: "activated", wrongTries: 0 });
    });
    expect((await rig.call("POST", "/api/auth/login", { email, password: PASSWORD })).status).to.equal(200);
  });

  it("a step that did its work but whose answer was lost makes no second account", async () => {
    const email = address();
    let lost = 0;
    await withWorker(
      {
        async activateByCode(request) {
          const result = await rig.identity.registrationSteps.activateByCode(request);
          if ((lost += 1) < 3) throw new Error("the answer was lost");
          return result;
        },
      },
      async () => {
        await ask(email);
        expect((await register(email, codeIn(await rig.mail(email, "email_code")))).status).to.equal(201);
      },
    );
    expect(lost).to.equal(3);
    expect((await rig.pool.query("SELECT 1 FROM users WHERE email = $1", [email])).rowCount).to.equal(1);
  });

  it("a mail is queued as soon as its queue is back, with the one code that works", async () => {
    const email = address();
    await withWorker({}, async () => {
      broken = true;
      await ask(email);
      await waitFor(async () => (await handle(email).describe()).raw.pendingActivities?.some((activity) => (activity.attempt ?? 0) > 1));
      broken = false;
      const code = codeIn(await rig.mail(email, "email_code"));
      expect((await register(email, code)).status).to.equal(201);
      expect(rig.mails.filter((mail) => mail.to === email)).to.have.length(1);
    });
  });

  it("ends when the code's time is over; a later request begins a new run", async () => {
    const email = address();
    await withWorker({}, async () => {
      await ask(email);
      const code = codeIn(await rig.mail(email, "email_code"));
      const first = (await handle(email).describe()).runId;
      expect(await handle(email).result()).to.include({ state: "expired", userId: null });
      expect((await register(email, code)).body.error?.code).to.equal("invalid_code");
      const before = rig.mails.length;
      await ask(email);
      expect((await handle(email).describe()).runId).to.not.equal(first);
      expect((await register(email, codeIn(await rig.mail(email, "email_code", before)))).status).to.equal(201);
    });
  });

  it("says in the Temporal UI what it is about, without the whole address", async () => {
    const email = address();
    await withWorker({}, async () => {
      await ask(email);
      await rig.mail(email, "email_code");
      await register(email, "000000");
      const description = await handle(email).describe();
      expect(await description.staticSummary()).to.equal("Registration of a…@example.com");
      await waitFor(async () => (await view(email)).sends === 1);
      expect(await view(email)).to.include({ state: "waiting", userId: null });
    });
  });

  it("joins a run that waits: one workflow per address, however it is written", async () => {
    const email = address();
    const runs = new Set<string>();
    await withWorker({}, async () => {
      for (const written of [email, email.toUpperCase(), ` ${email}`]) {
        expect((await ask(written)).status).to.equal(202);
        runs.add((await handle(email).describe()).runId);
      }
      expect(runs.size).to.equal(1);
      await rig.call("POST", "/api/user/register", { username: unique("ada").slice(0, 20), email, password: PASSWORD });
      const link = tokenIn(await rig.mail(email, "verify_link"));
      expect((await handle(email).describe()).runId).to.equal([...runs][0]);
      expect((await rig.call("GET", `/api/user/verify-email?token=${link}`)).status).to.equal(200);
    });
  });
});
