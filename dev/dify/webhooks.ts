import { createHmac, randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { refuse, type Endpoint } from "../upstream/endpoint.ts";
import type { Plan } from "./plan.ts";
import { now } from "./store.ts";
import { dify } from "./vendor.ts";

const MODES = ["never", "once", "twice", "late", "early"] as const;
type Mode = (typeof MODES)[number];

/** Where webhooks go and how they are signed. */
export interface WebhookSettings {
  url?: string | undefined;
  apiKey?: string | undefined;
  secret?: string | undefined;
  /** When they are sent, unless a call is told otherwise. */
  mode?: Mode;
  /** What the app's model is called. */
  model?: string;
  lateMs?: number;
}

export interface Webhooks {
  /** What is to be done before the end of an answer goes out, and after it. */
  around(plan: Plan): { before(): Promise<void>; after(): void };
  /** Settings, and what was sent and answered. */
  endpoints: Endpoint[];
}

interface Sent {
  message_id: string;
  status: number;
  body: unknown;
}

const KEPT = 1_000;
const LATE_MS = 500;

/** Sends `message_end` webhooks as Dify's users have it sent: signed over the timestamp and the raw body. */
export function createWebhooks(initial: WebhookSettings = {}): Webhooks {
  let settings = initial;
  let sent: Sent[] = [];

  async function send(plan: Plan, requestId: string): Promise<void> {
    const { url, apiKey = "", secret = "", model = "demo-dify" } = settings;
    const { counts, holder, conversation, message } = plan;
    if (!url || typeof counts === "string") return;
    const { prompt, completion } = counts;
    const body = JSON.stringify({
      event: "message_end",
      data: {
        conversation_id: conversation?.id ?? null,
        message_id: message,
        user_id: holder.user,
        model_name: model,
        input_tokens: prompt,
        output_tokens: completion,
        total_tokens: Number(prompt) + Number(completion),
        timestamp: new Date().toISOString(),
      },
      request_id: requestId,
    });
    const timestamp = String(now());
    const signature = createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex");
    const headers = {
      "content-type": "application/json",
      "x-api-key": apiKey,
      "x-timestamp": timestamp,
      "x-signature": `sha256=${signature}`,
    };
    const answer = await fetch(url, { method: "POST", headers, body }).catch(() => undefined);
    const said: unknown = await answer?.json().catch(() => undefined);
    sent.push({ message_id: message, status: answer?.status ?? 0, body: said });
    if (sent.length > KEPT) sent = sent.slice(-KEPT / 2);
  }

  return {
    around(plan) {
      // A message that waits for a person has not ended.
      const mode =
        plan.kind === "workflow" || plan.directives.outcome === "paused" ? "never" : (plan.directives.webhook ?? settings.mode ?? "never");
      const requestId = randomUUID();
      return {
        before: async () => (mode === "early" ? send(plan, requestId) : undefined),
        after() {
          if (mode === "once" || mode === "twice") void send(plan, requestId);
          if (mode === "twice") void send(plan, requestId);
          if (mode === "late") void pause(settings.lateMs ?? LATE_MS).then(() => send(plan, requestId));
        },
      };
    },
    endpoints: [
      {
        method: "POST",
        path: /^\/webhooks$/,
        vendor: dify,
        answer({ body }) {
          const { url, api_key: apiKey, secret, mode, model } = body as Record<string, string | undefined>;
          if (mode !== undefined && !MODES.includes(mode as Mode)) refuse(`mode must be one of ${MODES.join(", ")}`);
          settings = { ...settings, ...defined({ url, apiKey, secret, mode: mode as Mode | undefined, model }) };
          return { kind: "whole", body: { result: "success" } };
        },
      },
      { method: "GET", path: /^\/webhooks$/, vendor: dify, answer: () => ({ kind: "whole", body: { sent } }) },
    ],
  };
}

function defined<T extends object>(given: T): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>;
}
