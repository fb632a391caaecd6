import { accepted, ok, route, type Route } from "../http/route.ts";
import type { Notify } from "../notify/index.ts";
import { appError } from "../platform/errors.ts";
import { uuidv7 } from "../platform/ids.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";
import { countSince, insertDelivery, listDeliveries, type DeliveryRow } from "./deliveries.ts";
import { findSettings } from "./repository.ts";
import { changedView, deliveriesQuery, deliveryPage, deliveryParams, noticesBody, noticesView, secretView } from "./schema.ts";
import type { NoticeSettings } from "./settings.ts";

const TAG = "Notices";
const MOST_TESTS = 5;
const TESTS_WITHIN_S = 60;

const view = (row: DeliveryRow) => ({
  ...row,
  body: JSON.parse(row.body) as unknown,
  created_at: row.created_at.toISOString(),
  next_at: row.state === "pending" ? row.next_at.toISOString() : null,
  ended_at: row.ended_at?.toISOString() ?? null,
});

/** What people want to be told about their balance, and what was sent to their webhooks. */
export function noticeRoutes(deps: { pool: Pool; settings: NoticeSettings; notify: Pick<Notify, "webhook"> }): Route[] {
  const { pool, settings, notify } = deps;

  /** Keeps a test delivery; when the queue is away it goes out when the queue is back. */
  async function sendTest(userId: string): Promise<string> {
    const id = uuidv7();
    await inTransaction(pool, async (tx) => {
      const row = await findSettings(tx, userId);
      if (row?.webhook_status !== "active") throw appError("invalid_state", { message: "There is no active webhook" });
      if ((await countSince(tx, userId, "test", TESTS_WITHIN_S)) >= MOST_TESTS)
        throw appError("rate_limited", { retryAfter: TESTS_WITHIN_S });
      const body = JSON.stringify({ id, type: "test", created_at: new Date().toISOString(), data: { user_id: userId } });
      await insertDelivery(tx, { id, userId, type: "test", body });
    });
    await notify.webhook({ deliveryId: id, attempt: 0 }).catch(() => undefined);
    return id;
  }

  return [
    route({
      method: "get",
      path: "/api/user/notices",
      summary: "At which balances I am told, and how",
      tag: TAG,
      access: "user",
      responses: { 200: noticesView },
      handler: async ({ principal }) => ok(await settings.read(principal)),
    }),
    route({
      method: "put",
      path: "/api/user/notices",
      summary: "Change at which balances I am told, and how",
      description:
        "What is left out stays. A notice goes out when the balance falls below a threshold, and again only after it has risen above it. " +
        "A webhook is posted `{id, type, created_at, data}` with `X-Webhook-Id`, `X-Timestamp` (Unix seconds) and `X-Signature: sha256=` HMAC-SHA256 " +
        "of timestamp, a dot and the body.",
      tag: TAG,
      access: "session",
      body: noticesBody,
      responses: { 200: changedView },
      handler: async ({ principal, body }) => ok(await settings.change(principal, body)),
    }),
    route({
      method: "post",
      path: "/api/user/notices/webhook/secret",
      summary: "A new secret for my webhook; the old one ends at once",
      tag: TAG,
      access: "session",
      responses: { 200: secretView },
      errors: ["invalid_state"],
      handler: async ({ principal }) => ok(await settings.newSecret(principal)),
    }),
    route({
      method: "post",
      path: "/api/user/notices/test",
      summary: "Send a test to my webhook",
      tag: TAG,
      access: "session",
      responses: { 202: deliveryParams },
      errors: ["invalid_state", "rate_limited"],
      handler: async ({ principal }) => accepted({ id: await sendTest(principal.userId) }),
    }),
    route({
      method: "get",
      path: "/api/user/notices/deliveries",
      summary: "What was sent to my webhook, newest first",
      tag: TAG,
      access: "user",
      query: deliveriesQuery,
      responses: { 200: deliveryPage },
      handler: async ({ principal, query: { page, page_size, state } }) => {
        const { items, total } = await listDeliveries(pool, principal.userId, state, { limit: page_size, offset: (page - 1) * page_size });
        return ok({ items: items.map(view), total, page, page_size });
      },
    }),
  ];
}
