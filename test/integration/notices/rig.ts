import http from "node:http";
import type { AddressInfo } from "node:net";
import { createHmac } from "node:crypto";
import { createAttempt, createNoticeSettings, createTell, type Tell } from "../../../src/notices/index.ts";
import { createNotify, createWebhookSender, startWebhookWorker, type Notify } from "../../../src/notify/index.ts";
import { createLedger, type Ledger } from "../../../src/ledger/index.ts";
import { MICRO } from "../../../src/platform/credits.ts";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { createPool, inTransaction, type Pool } from "../../../src/platform/postgres.ts";
import { createBlockingRedis, type Redis } from "../../../src/platform/redis.ts";
import { createSecretBox } from "../../../src/platform/secrets.ts";
import { silent } from "../../support/usage.ts";

export interface Owner {
  userId: string;
  walletId: bigint;
}

/** What a person's server received. */
export interface Received {
  path: string;
  headers: http.IncomingHttpHeaders;
  body: string;
}

export interface Receiver {
  url: string;
  received: Received[];
  /** What it answers from now on; 0 is no answer but a broken connection. */
  answer(status: number, headers?: Record<string, string>): void;
  close(): void;
}

/** A person's server. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  let status = 200;
  let headers: Record<string, string> = {};
  const server = http.createServer((req, res) => {
    let body = "";
    req.on("data", (chunk: Buffer) => (body += chunk.toString()));
    req.on("end", () => {
      received.push({ path: req.url ?? "", headers: req.headers, body });
      if (status === 0) req.socket.destroy();
      else res.writeHead(status, headers).end("noted");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answer(next, more = {}) {
      status = next;
      headers = more;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** True when the signature is that of our own webhook scheme. */
export function isSigned({ headers, body }: Received, secret: string): boolean {
  const expected = createHmac("sha256", secret)
    .update(`${String(headers["x-timestamp"])}.${body}`)
    .digest("hex");
  return headers["x-signature"] === `sha256=${expected}`;
}

export interface NoticeRig {
  pool: Pool;
  ledger: Ledger;
  notify: Notify;
  redis: Redis;
  tell: Tell;
  /** What was told to whoever watches. */
  pushed: { userId: string; threshold: string; balance: string }[];
  settings: ReturnType<typeof createNoticeSettings>;
  person(credits: number): Promise<Owner>;
  credit(owner: Owner, credits: number): Promise<void>;
  /** Charges calls of so many credits each, in one settlement. */
  spend(...calls: [Owner, number][]): Promise<void>;
  /** Mails that lie in the queue for somebody. */
  mails(owner: Owner): Promise<{ template: string; data: Readonly<Record<string, string>> }[]>;
  deliveries(
    owner: Owner,
  ): Promise<{ id: string; state: string; attempts: number; last_status: number | null; last_error: string | null }[]>;
  /** Another worker for webhooks. */
  work(options?: { allowPrivate?: boolean; pausesMs?: number[] }): Promise<{ close(): Promise<void> }>;
  close(): Promise<void>;
}

const addressOf = (userId: string) => `${userId}@example.com`;

export async function noticeRig(places: { databaseUrl: string; redisUrl: string }): Promise<NoticeRig> {
  const pool = createPool({ url: places.databaseUrl, max: 12, name: "test", log: silent });
  const redis = createBlockingRedis({ url: places.redisUrl, log: silent });
  const ledger = createLedger({ pool, log: silent, tolerance: { percent: 10, micro: 0n } });
  const notify = createNotify({ redis, log: silent });
  const secretBox = createSecretBox([{ id: "k", secret: Buffer.alloc(32, 7) }]);
  const pushed: NoticeRig["pushed"] = [];
  const tell = createTell({
    pool,
    notify,
    contact: async (userId) => ({ email: addressOf(userId), locale: "en", name: "Ada" }),
    publicUrl: "http://toll.test",
    push: (userId, notice) => pushed.push({ userId, ...notice }),
    log: silent,
  });
  const credit = async (owner: Owner, credits: number) => {
    await ledger.credit(pool, {
      id: uuidv7(),
      walletId: owner.walletId,
      amount: BigInt(credits) * MICRO,
      from: "adjustments",
      source: "admin",
      type: "ADMIN",
      description: "test",
    });
  };
  return {
    pool,
    ledger,
    notify,
    redis,
    tell,
    pushed,
    settings: createNoticeSettings({ pool, secretBox, allowPrivate: true }),
    async person(credits) {
      const userId = uuidv7();
      const walletId = await ledger.ensureWallet(pool, { type: "user", id: userId });
      await pool.query("INSERT INTO users (id, email, username, email_verified, wallet_id) VALUES ($1, $2, $3, true, $4)", [
        userId,
        addressOf(userId),
        userId.slice(-12),
        walletId,
      ]);
      const owner = { userId, walletId };
      if (credits > 0) await credit(owner, credits);
      return owner;
    },
    credit,
    async spend(...calls) {
      const items = calls.map(([owner, credits]) => ({ id: uuidv7(), owner, cost: BigInt(Math.round(credits * 1e6)) }));
      for (const { id, owner, cost } of items)
        await ledger.authorize({ id, walletId: owner.walletId, amount: cost, owner: "test", ttlMs: 60_000 });
      await inTransaction(pool, (tx) =>
        ledger.settle(
          tx,
          items.map(({ id, owner, cost }) => ({
            id,
            holdId: id,
            walletId: owner.walletId,
            cost,
            to: "revenue:usage",
            type: "CONSUMPTION",
            description: "a call",
            reference: id,
          })),
        ),
      );
    },
    async mails(owner) {
      const jobs = await notify.queues.mail.getJobs(["waiting", "delayed", "active", "prioritized"]);
      return jobs
        .filter(({ data }) => data.to === addressOf(owner.userId))
        .map(({ data }) => ({ template: data.template, data: data.data }));
    },
    async deliveries(owner) {
      const { rows } = await pool.query<Awaited<ReturnType<NoticeRig["deliveries"]>>[number]>(
        "SELECT id, state, attempts, last_status, last_error FROM webhook_deliveries WHERE user_id = $1 ORDER BY created_at, id",
        [owner.userId],
      );
      return rows;
    },
    async work({ allowPrivate = true, pausesMs = [50, 100] } = {}) {
      const sender = createWebhookSender({ allowPrivate, timeoutMs: 1_000 });
      const worker = startWebhookWorker({
        redis,
        attempt: createAttempt({ pool, secretBox, sender, notify, log: silent, pausesMs }),
        log: silent,
      });
      return {
        async close() {
          await worker.close();
          await sender.close();
        },
      };
    },
    async close() {
      await notify.close();
      redis.disconnect();
      await ledger.close();
      await pool.end();
    },
  };
}
