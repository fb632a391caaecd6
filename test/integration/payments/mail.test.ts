import { expect } from "chai";
import type { AddressInfo } from "node:net";
import express from "express";
import PostalMime from "postal-mime";
import { SMTPServer } from "smtp-server";
import { createNotify, createQueuesPage, startMailWorker, type MailWorker, type Notify } from "../../../src/notify/index.ts";
import { createLogger } from "../../../src/platform/logger.ts";
import { createBlockingRedis, type Redis } from "../../../src/platform/redis.ts";
import { useStack, waitFor } from "../../support/stack.ts";

const silent = createLogger({ level: "silent", name: "test" });
const CODE = { locale: "en", template: "email_code", data: { code: "123456", minutes: "10", purpose: "login" } } as const;

describe("mail", function () {
  this.timeout(30_000);
  const places = useStack();
  const received: { to: string; subject: string; text: string; html: string }[] = [];
  let refusals = 0;
  let smtp: SMTPServer;
  let redis: Redis;
  let notify: Notify;
  let worker: MailWorker | undefined;
  let smtpUrl: string;

  before(async () => {
    smtp = new SMTPServer({
      authOptional: true,
      disabledCommands: ["STARTTLS"],
      onData(stream, session, done) {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", () => {
          if (refusals > 0) {
            refusals -= 1;
            done(new Error("try again later"));
            return;
          }
          void PostalMime.parse(Buffer.concat(chunks)).then((mail) => {
            received.push({
              to: session.envelope.rcptTo[0]?.address ?? "",
              subject: mail.subject ?? "",
              text: mail.text ?? "",
              html: mail.html ?? "",
            });
            done();
          });
        });
      },
    });
    await new Promise<void>((resolve) => smtp.listen(0, "127.0.0.1", resolve));
    smtpUrl = `smtp://127.0.0.1:${(smtp.server.address() as AddressInfo).port}`;
    redis = createBlockingRedis({ url: places.redisUrl, log: silent });
    notify = createNotify({ redis, log: silent });
  });
  afterEach(async () => {
    await worker?.close();
    worker = undefined;
  });
  after(async () => {
    await notify.close();
    redis.disconnect();
    await new Promise<void>((resolve) => smtp.close(() => resolve()));
  });
  const start = (url: string | undefined) =>
    (worker = startMailWorker({ redis, smtpUrl: url, from: "Tollkeeper <no-reply@localhost>", log: silent }));
  const to = (address: string) => received.filter((mail) => mail.to === address);

  it("with the same id is sent once, with text and HTML", async () => {
    start(smtpUrl);
    await Promise.all(Array.from({ length: 10 }, () => notify.email({ id: "code:1", to: "ada@example.com", ...CODE })));
    await waitFor(() => to("ada@example.com").length > 0);
    await notify.email({ id: "code:1", to: "ada@example.com", ...CODE });
    await notify.email({ id: "code:2", to: "last@example.com", ...CODE });
    await waitFor(() => to("last@example.com").length > 0);
    expect(to("ada@example.com")).to.have.length(1);
    expect(to("ada@example.com")[0]!.text).to.contain("123456");
    expect(to("ada@example.com")[0]!.html).to.contain("123456");
  });

  it("that was sent leaves no code behind", async () => {
    start(smtpUrl);
    await notify.email({ id: "code:3", to: "bob@example.com", ...CODE });
    const done = await waitFor(async () =>
      (await notify.queues.mail.getJobs(["completed"])).find((job) => job.data.to === "bob@example.com"),
    );
    expect(done.data.data).to.deep.equal({});
  });

  it("that a mail server refuses is sent again", async () => {
    refusals = 2;
    start(smtpUrl);
    await notify.email({ id: "code:4", to: "eve@example.com", ...CODE });
    await waitFor(() => to("eve@example.com").length === 1, { timeoutMs: 15_000 });
    expect(refusals).to.equal(0);
  });

  it("without a mail server stays visible as not sent", async () => {
    start(undefined);
    await notify.email({ id: "code:5", to: "nobody@example.com", ...CODE });
    const job = await waitFor(async () =>
      (await notify.queues.mail.getJobs(["delayed"])).find(({ data }) => data.to === "nobody@example.com"),
    );
    expect(job.failedReason).to.equal("SMTP_URL is not set");
    await job.remove();
  });

  it("is rejected while Redis is away", async () => {
    const gone = createBlockingRedis({ url: "redis://127.0.0.1:9/0", log: silent });
    const cutOff = createNotify({ redis: gone, log: silent });
    const outcome = await cutOff.email({ id: "x", to: "ada@example.com", ...CODE }).then(
      () => "queued",
      (error: Error) => error.message,
    );
    expect(outcome).to.match(/the queue/);
    gone.disconnect();
  });

  it("is listed for operators without its codes", async () => {
    await notify.email({ id: "code:6", to: "secret@example.com", ...CODE, data: { ...CODE.data, code: "987654" } });
    const app = express();
    app.use("/ops/queues", createQueuesPage({ notify, basePath: "/ops/queues" }));
    const server = app.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ops/queues`;
      expect((await fetch(base)).status).to.equal(200);
      const listed = await (await fetch(`${base}/api/queues?activeQueue=mail&status=latest&page=1&jobsPerPage=10`)).text();
      expect(listed, listed).to.contain("secret@example.com").and.not.contain("987654");
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
