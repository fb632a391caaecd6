import { Agent, request } from "undici";
import { guardedConnector, PrivateAddressError } from "../../platform/addresses.ts";
import { hmacSha256 } from "../../platform/secrets.ts";

/** One notice to somebody's server. */
export interface OutboundWebhook {
  /** Of the delivery: the same on every try, so that a receiver can tell a repeat. */
  id: string;
  url: string;
  secret: string;
  /** JSON, sent as it is signed. */
  body: string;
}

/** How a try ended. `status` is null when there was no answer. */
export interface SendResult {
  ok: boolean;
  status: number | null;
  error: string | null;
}

export interface WebhookSender {
  /** Tries once. Never rejects. */
  send(webhook: OutboundWebhook): Promise<SendResult>;
  close(): Promise<void>;
}

const ANSWER_LIMIT = 64 * 1024;

/** The scheme of our own webhook: HMAC-SHA256 over `timestamp.body`. */
export function signWebhook(secret: string, body: string, now: number): Record<string, string> {
  const timestamp = String(Math.floor(now / 1_000));
  return { "x-timestamp": timestamp, "x-signature": `sha256=${hmacSha256(secret, `${timestamp}.${body}`)}` };
}

function reasonOf(error: unknown): string {
  if (error instanceof PrivateAddressError) return "the address is private";
  const { name, code } = error as { name?: string; code?: string };
  if (name === "TimeoutError" || code === "UND_ERR_CONNECT_TIMEOUT" || code === "UND_ERR_HEADERS_TIMEOUT") return "no answer in time";
  return code ? `no connection (${code})` : "no connection";
}

/**
 * Posts to addresses that people gave: never to a private one unless that is allowed, checked when the connection is made, and never
 * where an answer redirects to. Only a status of 2xx counts.
 */
export function createWebhookSender(options: { allowPrivate: boolean; timeoutMs: number }): WebhookSender {
  const { allowPrivate, timeoutMs } = options;
  const agent = new Agent({ connect: guardedConnector({ allowPrivate, timeoutMs }), keepAliveTimeout: 5_000, pipelining: 0 });
  return {
    async send({ id, url, secret, body }) {
      try {
        const answer = await request(url, {
          method: "POST",
          dispatcher: agent,
          headers: {
            "content-type": "application/json",
            "user-agent": "Tollkeeper",
            "x-webhook-id": id,
            ...signWebhook(secret, body, Date.now()),
          },
          body,
          signal: AbortSignal.timeout(timeoutMs),
        });
        const status = answer.statusCode;
        await answer.body.dump({ limit: ANSWER_LIMIT }).catch(() => undefined);
        if (status >= 200 && status < 300) return { ok: true, status, error: null };
        return { ok: false, status, error: status >= 300 && status < 400 ? "redirects are not followed" : `answered ${status}` };
      } catch (error) {
        return { ok: false, status: null, error: reasonOf(error) };
      }
    },
    close: () => agent.close(),
  };
}
