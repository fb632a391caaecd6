import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { messageEnd, signed } from "../test/support/dify.ts";
import { customer, operator, unique } from "../test/support/people.ts";
import { startStack, type Product } from "../test/support/stack.ts";
import { used } from "./system.ts";

const EVENTS = 5_000;
const WARM = 1_000;
const PER_SECOND = 500;
const USERS = 20;

export interface WebhookResult {
  perSecond: number;
  /** CPU milliseconds an event. */
  byPart: Record<string, number>;
  total: number;
  p50Ms: number;
  p99Ms: number;
}

/** What an event of Dify's webhook costs in all, and how long its sender waits. Only on Linux. */
export async function benchWebhook(): Promise<WebhookResult> {
  const stack = await startStack({ env: { LOG_LEVEL: "warn" }, durable: true });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
  try {
    const product = { ...stack.endpoints, stack } as Product;
    const admin = await operator(product);
    const model = unique("gpt");
    await admin.post("/api/admin/models", { name: model, input_price: "30", output_price: "60" });
    const users = await Promise.all(Array.from({ length: USERS }, () => customer(product, admin, { credits: "100000000" })));
    const bodies = Array.from({ length: WARM + EVENTS }, (_, n) =>
      JSON.stringify(messageEnd({ user_id: users[n % USERS]!.id, model_name: model })),
    );

    const send = (raw: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const headers = signed(raw, { key: product.webhook.api_key, secret: product.webhook.secret });
        const begun = performance.now();
        const req = http.request(`${product.api}/api/dify/webhook`, { method: "POST", headers, agent }, (res) => {
          if (res.statusCode !== 200) reject(new Error(`an event was answered ${res.statusCode}`));
          res.on("end", () => resolve(performance.now() - begun)).resume();
        });
        req.on("error", reject);
        req.end(raw);
      });
    async function play(list: readonly string[]): Promise<number[]> {
      const started = performance.now();
      const answers: Promise<number>[] = [];
      for (const [n, raw] of list.entries()) {
        const due = started + (n * 1_000) / PER_SECOND - performance.now();
        if (due > 1) await delay(due);
        answers.push(send(raw));
      }
      return Promise.all(answers);
    }

    await play(bodies.slice(0, WARM));
    const before = used();
    const times = (await play(bodies.slice(WARM))).sort((a, b) => a - b);
    const after = used();
    const byPart = Object.fromEntries(Object.keys(after).map((name) => [name, ((after[name]! - before[name]!) * 1_000) / EVENTS]));
    return {
      perSecond: PER_SECOND,
      byPart,
      total: Object.values(byPart).reduce((sum, ms) => sum + ms, 0),
      p50Ms: times[EVENTS >> 1]!,
      p99Ms: times[Math.floor(EVENTS * 0.99)]!,
    };
  } finally {
    agent.destroy();
    await stack.destroy();
  }
}
