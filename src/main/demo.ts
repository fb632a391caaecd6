import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import OpenAI from "openai";
import { dataFolder } from "./data-folder.ts";
import { demoClient, until } from "./demo/client.ts";
import { loadEnv } from "./load-env.ts";

/** Plays the main story against the running product (`npm start`) and prints each step with its workflow, then the ledger's proof. */

interface Endpoints {
  api: string;
  temporal_ui: string;
  inbox: string;
  sandbox: string;
  namespace?: string;
  admin: { email: string; password: string };
}
interface Tokens {
  access_token: string;
  user: { id: string; username: string };
}
interface Order {
  order_no: string;
  status: string;
  credits: string;
  pay_url: string;
  workflow_id: string;
}
interface UsageItem {
  request_id: string;
  input_tokens: number;
  output_tokens: number;
  cost: string | null;
  settled_at: string | null;
}
interface Page<T> {
  items: T[];
}
interface Proof {
  balanced: boolean;
  accounts: number;
  transfers: number;
  differences: unknown[];
}

async function readEndpoints(): Promise<Endpoints> {
  const file = path.join(dataFolder(), "endpoints.json");
  try {
    return JSON.parse(await readFile(file, "utf8")) as Endpoints;
  } catch {
    throw new Error("Nothing is running here: start it with `npm start`, then run `npm run demo` in another terminal.");
  }
}

let count = 0;
const step = (text: string): void => console.log(`\n${++count}. ${text}`);
const note = (text: string): void => console.log(`   ${text}`);

async function main(): Promise<void> {
  loadEnv();
  const at = await readEndpoints();
  const api = demoClient(at.api);
  const workflow = (id: string): void =>
    note(`workflow ${at.temporal_ui}/namespaces/${at.namespace ?? "default"}/workflows/${encodeURIComponent(id)}`);
  const email = `demo-${randomBytes(4).toString("hex")}@example.com`;

  step(`Ask for a code for ${email}`);
  await api.post("/api/auth/email-code", { email, purpose: "register" });
  workflow(`registration-${createHash("sha256").update(email).digest("hex")}`);
  const code = await until("the mail with the code", async () => {
    const messages = (await (await fetch(`${at.inbox}/messages?to=${encodeURIComponent(email)}`)).json()) as { text: string }[];
    return messages.map((message) => /\b(\d{6})\b/.exec(message.text)?.[1]).find(Boolean);
  });
  note(`the mail arrived; its code is ${code}`);

  step("Register");
  const tokens = await api.post<Tokens>("/api/auth/register", { email, code, password: `${randomBytes(9).toString("base64url")}-Aa1` });
  const me = api.as(tokens.access_token);
  note(`user ${tokens.user.username}`);

  step("Top up 50.00 CNY through Epay");
  const order = await me.post<Order>("/api/topup/orders", { amount: "50.00", currency: "CNY", method: "epay", channel: "alipay" });
  note(`order ${order.order_no}: ${order.credits} credits, to be paid at ${order.pay_url}`);
  workflow(order.workflow_id);
  await fetch(`${at.sandbox}/orders/${order.order_no}/pay`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ mode: "ok" }),
  });
  await until("the order to be completed", async () => (await me.get<Order>(`/api/topup/orders/${order.order_no}`)).status === "completed");
  const before = await me.get<{ available: string }>("/api/user/balance");
  note(`paid; the wallet holds ${before.available} credits`);

  step("Make an API key");
  const { key, prefix } = await me.post<{ key: string; prefix: string }>("/api/user/keys", { name: "demo" });
  note(`key ${prefix}…`);

  step("Stream a chat completion with the official openai package");
  const openai = new OpenAI({ apiKey: key, baseURL: `${at.api}/v1` });
  const stream = await openai.chat.completions.create({
    model: "demo-chat",
    messages: [{ role: "user", content: "Say in two sentences what a toll keeper does. [[usage:1500,800]]" }],
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: 1_000,
  });
  process.stdout.write("   ");
  let reported = "";
  for await (const chunk of stream) {
    process.stdout.write(chunk.choices[0]?.delta.content ?? "");
    if (chunk.usage) reported = `${chunk.usage.prompt_tokens} tokens in, ${chunk.usage.completion_tokens} out`;
  }
  console.log(`\n   ${reported}`);

  step("The call is settled");
  const usage = await until("settlement", async () =>
    (await me.get<Page<UsageItem>>("/api/user/usage")).items.find((item) => item.settled_at),
  );
  note(`${usage.input_tokens} × 30 / 1000 + ${usage.output_tokens} × 60 / 1000 = ${usage.cost} credits`);
  workflow("settlement-0");
  const after = await me.get<{ available: string; held: string }>("/api/user/balance");
  note(`the wallet holds ${after.available} credits, ${after.held} on hold`);

  step("The bill");
  const bills = await me.get<Page<{ type: string; credits: string; description: string; status: string }>>("/api/user/billing");
  for (const bill of bills.items)
    note(`${bill.type.padEnd(12)} ${bill.credits.padStart(10)}  ${bill.status.padEnd(10)} ${bill.description}`);

  step("The ledger's proof");
  const operator = await api.post<Tokens>("/api/auth/login", { email: at.admin.email, password: at.admin.password });
  const proof = await api.as(operator.access_token).get<Proof>("/api/admin/ledger/verify");
  note(
    `${proof.balanced ? "balanced" : "NOT BALANCED"}: ${proof.accounts} accounts, ${proof.transfers} transfers, ${proof.differences.length} differences`,
  );
  if (!proof.balanced) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
