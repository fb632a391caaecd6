import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { messageEnd, signed } from "../support/dify.ts";
import { unique, type Person } from "../support/people.ts";
import type { Product } from "../support/stack.ts";

/** The app that the demo Dify serves, at 30 and 60 per 1000 tokens. */
export const APP = "demo-dify";

/** What the providers are told to count, and words enough that the hold covers it: only then whole answers name their cost. */
const COUNTED = `[[usage:1500,800]]${" word".repeat(1_500)}`;

/** One way in which a message comes to be charged. */
export interface Path {
  name: string;
  model: string;
  /** What usage records say it came by. */
  route: string;
  /** With an API key; the others come from a platform that reports them. */
  relayed: boolean;
  /** Sends one message; answers the points that the answer names, null where it names none. */
  send(): Promise<string | number | null>;
}

/** Every way, for one person: `key` calls the model, `appKey` the Dify app. */
export async function everyPath(
  at: Product,
  admin: Person,
  who: { id: string; key: string; appKey: string; model: string },
): Promise<Path[]> {
  const { model } = who;

  async function post(path: string, headers: Record<string, string>, raw: string) {
    const answer = await fetch(at.api + path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: raw });
    const text = await answer.text();
    expect(answer.status, `${path} ${text}`).to.equal(200);
    return { text, cost: answer.headers.get("x-tollkeeper-cost") };
  }

  /** A stream's usage comes at its end, so its answer names no cost; that it came to its end is looked at. */
  const relayed = (name: string, route: string, body: object, ending?: string): Path => ({
    name,
    model: route.startsWith("/dify") ? APP : model,
    route,
    relayed: true,
    async send() {
      const key = route.startsWith("/dify") ? who.appKey : who.key;
      const { text, cost } = await post(route, { authorization: `Bearer ${key}` }, JSON.stringify(body));
      if (ending !== undefined) expect(text, name).to.contain(ending);
      return cost;
    },
  });

  const chat = { model, max_tokens: 800, messages: [{ role: "user", content: COUNTED }] };
  const response = { model, max_output_tokens: 800, input: COUNTED };
  const app = { query: COUNTED, inputs: {}, user: "end-user" };
  const source = await admin.post<{ name: string; api_key: string; secret: string }>("/api/admin/usage/sources", { name: unique("coze") });
  return [
    relayed("chat completions", "/v1/chat/completions", chat),
    relayed("streamed chat completions", "/v1/chat/completions", { ...chat, stream: true }, "data: [DONE]"),
    relayed("messages", "/v1/messages", chat),
    relayed("streamed messages", "/v1/messages", { ...chat, stream: true }, "event: message_stop"),
    relayed("responses", "/v1/responses", response),
    relayed("streamed responses", "/v1/responses", { ...response, stream: true }, "event: response.completed"),
    relayed("a Dify app", "/dify/v1/chat-messages", { ...app, response_mode: "blocking" }),
    relayed("a streaming Dify app", "/dify/v1/chat-messages", { ...app, response_mode: "streaming" }, '"event":"message_end"'),
    {
      name: "Dify's webhook",
      model: APP,
      route: "/api/dify/webhook",
      relayed: false,
      async send() {
        const raw = JSON.stringify(messageEnd({ user_id: who.id, model_name: APP, message_id: `msg_${randomUUID()}` }));
        const { api_key: key, secret } = at.webhook;
        const { data } = JSON.parse((await post("/api/dify/webhook", signed(raw, { key, secret }), raw)).text) as {
          data: { pointsDeducted: number; tokensUsed: number };
        };
        expect(data.tokensUsed).to.equal(2_300);
        return data.pointsDeducted;
      },
    },
    {
      name: "another platform's report",
      model,
      // From its delivery on it is a message as Dify reports them.
      route: "/api/dify/webhook",
      relayed: false,
      async send() {
        const use = { id: randomUUID(), user_id: who.id, model, input_tokens: 1_500, output_tokens: 800, at: new Date().toISOString() };
        const raw = JSON.stringify({ events: [use] });
        const headers = signed(raw, { key: source.api_key, secret: source.secret });
        const { data } = JSON.parse((await post(`/api/usage/sources/${source.name}/events`, headers, raw)).text) as {
          data: { items: { status: string; points: string; tokens: number }[] };
        };
        expect(data.items[0]).to.include({ status: "charged", tokens: 2_300 });
        return data.items[0]!.points;
      },
    },
  ];
}
