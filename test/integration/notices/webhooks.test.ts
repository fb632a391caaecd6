import { expect } from "chai";
import { MICRO } from "../../../src/platform/credits.ts";
import { createNoticeSettings } from "../../../src/notices/index.ts";
import { createSecretBox } from "../../../src/platform/secrets.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { isSigned, noticeRig, startReceiver, type NoticeRig, type Owner, type Receiver } from "./rig.ts";

interface Changed {
  webhook: { url: string; status: string; failures: number; secret?: string } | null;
}

describe("a webhook of a person", function () {
  this.timeout(30_000);
  const places = useStack();
  let rig: NoticeRig;
  let receiver: Receiver;
  let worker: { close(): Promise<void> } | undefined;

  before(async () => {
    rig = await noticeRig(places);
  });
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(async () => {
    await worker?.close();
    worker = undefined;
    receiver.close();
  });
  after(() => rig.close());

  /** Somebody with a threshold of 50 and a webhook; returns its secret too. */
  async function listener(path = "/hook"): Promise<Owner & { secret: string }> {
    const owner = await rig.person(1_000);
    const changed = (await rig.settings.change(owner, {
      thresholds: [50n * MICRO],
      email: false,
      webhook: { url: receiver.url + path },
    })) as Changed;
    return { ...owner, secret: changed.webhook!.secret! };
  }
  /** Makes the balance cross the threshold once, and tells. */
  async function cross(owner: Owner): Promise<void> {
    const { total } = await rig.ledger.balance(owner.walletId);
    if (total <= 50n * MICRO) await rig.credit(owner, 100);
    const { total: now } = await rig.ledger.balance(owner.walletId);
    await rig.spend([owner, Number(now / MICRO) - 40]);
    await rig.tell.tell();
  }
  const status = async (owner: Owner) => ((await rig.settings.read(owner)) as Changed).webhook?.status;
  const states = async (owner: Owner) => (await rig.deliveries(owner)).map(({ state }) => state);

  it("gets a signed notice, whose secret is shown once", async () => {
    const ada = await listener("/hook?me=1");
    expect(ada.secret).to.match(/^whsec_\w{43}$/);
    expect(JSON.stringify(await rig.settings.read(ada))).not.to.contain(ada.secret);
    worker = await rig.work();
    await cross(ada);
    const notice = await waitFor(() => receiver.received[0]);
    expect(notice.path).to.equal("/hook?me=1");
    expect(isSigned(notice, ada.secret)).to.equal(true);
    expect(Math.abs(Number(notice.headers["x-timestamp"]) - Date.now() / 1_000)).to.be.below(60);
    const body = JSON.parse(notice.body) as { id: string; type: string; data: object };
    expect(body).to.include({ type: "balance.low", id: notice.headers["x-webhook-id"] as string });
    expect(body.data).to.deep.equal({ user_id: ada.userId, threshold: "50", balance: "40" });
    await waitFor(async () => (await states(ada))[0] === "delivered");
    expect((await rig.deliveries(ada))[0]).to.include({ attempts: 1, last_status: 200 });
  });

  it("gets the same notice again after a failure, and once when it was taken", async () => {
    const bob = await listener();
    receiver.answer(500);
    worker = await rig.work({ pausesMs: [30, 30, 60_000] });
    await cross(bob);
    await waitFor(() => receiver.received.length >= 2);
    receiver.answer(204);
    await waitFor(async () => (await states(bob))[0] === "delivered");
    const ids = new Set(receiver.received.map(({ headers }) => headers["x-webhook-id"]));
    expect(ids.size).to.equal(1);
    expect(receiver.received.every((notice) => isSigned(notice, bob.secret))).to.equal(true);
    expect((await rig.deliveries(bob))[0]!.attempts).to.equal(receiver.received.length);
  });

  it("is switched off after three notices in a row were given up, and its owner is told; set again it is on", async () => {
    const eve = await listener();
    receiver.answer(0);
    worker = await rig.work({ pausesMs: [10] });
    for (let n = 1; n <= 3; n++) {
      await cross(eve);
      await waitFor(async () => (await states(eve)).filter((state) => state === "failed").length === n);
    }
    expect((await rig.deliveries(eve)).map(({ attempts }) => attempts)).to.deep.equal([2, 2, 2]);
    expect(await status(eve)).to.equal("disabled");
    await cross(eve);
    expect(await states(eve), "nothing is sent any more").to.have.length(3);
    const told = await waitFor(async () => (await rig.mails(eve))[0]);
    expect(told).to.deep.include({ template: "webhook_disabled" });
    receiver.answer(200);
    await rig.settings.change(eve, { webhook: { url: `${receiver.url}/hook` } });
    expect(await status(eve)).to.equal("active");
    await cross(eve);
    await waitFor(async () => (await states(eve)).at(-1) === "delivered");
    await rig.tell.tell();
    expect(await rig.mails(eve), "said once").to.have.length(1);
  });

  it("that says it is gone is switched off at once", async () => {
    const joan = await listener();
    receiver.answer(410);
    worker = await rig.work({ pausesMs: [10, 10] });
    await cross(joan);
    await waitFor(async () => (await status(joan)) === "disabled");
    expect((await rig.deliveries(joan))[0]).to.include({ state: "failed", attempts: 1, last_status: 410 });
  });

  it("is not followed where it redirects to", async () => {
    const dan = await listener("/from");
    receiver.answer(302, { location: "/to" });
    worker = await rig.work({ pausesMs: [] });
    await cross(dan);
    await waitFor(async () => (await states(dan))[0] === "failed");
    expect(receiver.received.map(({ path }) => path)).to.deep.equal(["/from"]);
    expect((await rig.deliveries(dan))[0]!.last_error).to.equal("redirects are not followed");
  });

  it("never leads to a private address: neither when it is set nor when it is called", async () => {
    const kim = await listener();
    worker = await rig.work({ allowPrivate: false, pausesMs: [] });
    await cross(kim);
    await waitFor(async () => (await states(kim))[0] === "failed");
    expect((await rig.deliveries(kim))[0]).to.include({ last_error: "the address is private", last_status: null });
    expect(receiver.received).to.deep.equal([]);
    const strict = createNoticeSettings({
      pool: rig.pool,
      secretBox: createSecretBox([{ id: "k", secret: Buffer.alloc(32, 7) }]),
      allowPrivate: false,
    });
    for (const url of [
      "http://example.com/hook",
      "https://127.0.0.1/hook",
      "https://[::1]/hook",
      "https://10.0.0.8/",
      "https://169.254.169.254/latest/meta-data",
      "https://[::ffff:127.0.0.1]/",
      "https://localhost/hook",
      "https://user:pass@example.com/",
      "ftp://example.com/",
      "https://exa mple.com/",
      "nonsense",
    ]) {
      const refused = await strict.change(kim, { webhook: { url } }).catch((error: { code?: string }) => error);
      expect(refused, url).to.include({ code: "validation_failed" });
    }
  });

  it("is sent what its queue lost", async () => {
    const pat = await listener();
    await cross(pat);
    await rig.notify.queues.webhooks.obliterate({ force: true });
    expect(await states(pat)).to.deep.equal(["pending"]);
    await rig.pool.query("UPDATE webhook_deliveries SET next_at = now() - interval '2 minutes' WHERE user_id = $1", [pat.userId]);
    expect((await rig.tell.tell()).requeued).to.be.at.least(1);
    worker = await rig.work();
    await waitFor(async () => (await states(pat))[0] === "delivered");
    expect(receiver.received).to.have.length(1);
  });

  it("gets nothing of what waited for another URL, and a new secret signs at once", async () => {
    const zoe = await listener();
    await cross(zoe);
    const changed = (await rig.settings.change(zoe, { webhook: { url: `${receiver.url}/new` } })) as Changed;
    expect(changed.webhook!.secret).not.to.equal(zoe.secret);
    expect(await states(zoe)).to.deep.equal(["cancelled"]);
    const { secret } = await rig.settings.newSecret(zoe);
    worker = await rig.work();
    await cross(zoe);
    const notice = await waitFor(() => receiver.received[0]);
    expect(notice.path).to.equal("/new");
    expect(isSigned(notice, secret)).to.equal(true);
    const off = (await rig.settings.change(zoe, { webhook: null })) as Changed;
    expect(off.webhook).to.equal(null);
  });
});
