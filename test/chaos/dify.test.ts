import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "chai";
import { messageEnd, signed } from "../support/dify.ts";
import { operator, proveLedger, settledBalance, unique, type Person } from "../support/people.ts";
import { startStack, waitFor, type Product, type Stack } from "../support/stack.ts";
import { customer } from "./support.ts";

/** TEST_SCALE=full: ten thousand events at 500 a second. */
const FULL = process.env["TEST_SCALE"] === "full";
const EVENTS = FULL ? 10_000 : 1_500;
const RATE = FULL ? 500 : 250;
const USERS = 20;
const COST = 93;

interface Reply {
  status: number;
  text: string;
  ms: number;
}

/** One delivery over a kept connection. Rejects when the connection goes. */
function deliver(at: Product, agent: http.Agent, raw: string): Promise<Reply> {
  const headers = signed(raw, { key: at.webhook.api_key, secret: at.webhook.secret });
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const req = http.request(`${at.api}/api/dify/webhook`, { method: "POST", headers, agent }, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk: Buffer) => chunks.push(chunk));
      res.on("error", reject);
      res.on("end", () => resolve({ status: res.statusCode!, text: Buffer.concat(chunks).toString(), ms: performance.now() - begun }));
    });
    req.on("error", reject);
    req.end(raw);
  });
}

/** A Fisher-Yates shuffle within windows: events come out of order, though not by minutes. */
function reordered<T>(list: readonly T[], window = 50): T[] {
  const shuffled = [...list];
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = Math.max(0, i - Math.floor(Math.random() * window));
    [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
  }
  return shuffled;
}

describe("Dify's webhook under load", function () {
  this.timeout(300_000);
  let stack: Stack;
  let at: Product;
  let admin: Person;
  let model: string;

  before(async () => {
    stack = await startStack();
    at = stack.endpoints as unknown as Product;
    admin = await operator(at);
    model = unique("gpt");
    await admin.post("/api/admin/models", { name: model, input_price: "30", output_price: "60" });
  });
  after(() => stack.destroy());

  const people = (count: number) => Promise.all(Array.from({ length: count }, () => customer(at, admin, { credits: "1000000" })));
  const bodyFor = (person: Person) => JSON.stringify(messageEnd({ user_id: person.id, model_name: model.toUpperCase() }));

  async function expectCharged(person: Person, events: number): Promise<void> {
    expect((await settledBalance(person)).total).to.equal(String(1_000_000 - events * COST));
  }

  it(`${EVENTS} events at ${RATE} a second, repeated and out of order, while worker and Redis restart: each charged once, at once`, async () => {
    const users = await people(USERS);
    const each = EVENTS / USERS;
    const once = Array.from({ length: EVENTS }, (_, n) => bodyFor(users[n % USERS]!));
    // Every fifth comes twice; all of it out of order.
    const bodies = reordered(once.flatMap((raw, n) => (n % 5 === 0 ? [raw, raw] : [raw])));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
    const warm = await customer(at, admin, { credits: "1000000" });
    await Promise.all(Array.from({ length: 50 }, () => deliver(at, agent, bodyFor(warm))));

    const replies: Promise<{ raw: string; reply: Reply }>[] = [];
    const started = performance.now();
    const restarts = [
      delay((bodies.length / RATE) * 250)
        .then(() => stack.part("worker").kill("SIGKILL"))
        .then(() => stack.part("worker").start()),
      delay((bodies.length / RATE) * 500)
        .then(() => stack.part("redis").kill("SIGKILL"))
        .then(() => stack.part("redis").start()),
    ];
    for (const [n, raw] of bodies.entries()) {
      const due = started + (n * 1_000) / RATE;
      if (due > performance.now() + 1) await delay(due - performance.now());
      replies.push(deliver(at, agent, raw).then((reply) => ({ raw, reply })));
    }
    const all = await Promise.all(replies);
    const took = (performance.now() - started) / 1_000;
    await Promise.all(restarts);
    agent.destroy();

    expect(all.filter(({ reply }) => reply.status !== 200)).to.deep.equal([]);
    const texts = new Map<string, string>();
    for (const { raw, reply } of all) {
      expect(reply.text).to.equal(texts.get(raw) ?? reply.text);
      texts.set(raw, reply.text);
      expect(reply.text).to.contain(`"pointsDeducted":${COST},`);
    }
    expect(new Set(texts.values()).size).to.equal(EVENTS);
    const times = all.map(({ reply }) => reply.ms).sort((a, b) => a - b);
    const [p50, p99, most] = [0.5, 0.99, 1].map((share) => times[Math.ceil(times.length * share) - 1]!);
    // oxlint-disable-next-line no-console -- the figures are what this test is for
    console.log(
      `      ${bodies.length} deliveries in ${took.toFixed(1)} s; answers p50 ${p50!.toFixed(1)} ms, p99 ${p99!.toFixed(1)} ms, most ${most!.toFixed(0)} ms`,
    );
    for (const user of users) await expectCharged(user, each);
    await proveLedger(admin);
    if (FULL) expect(p99).to.be.below(50);
  });

  it("an api that is killed in the middle loses nothing and charges nothing twice once its senders have repeated", async () => {
    const [ada] = await people(1);
    const bodies = Array.from({ length: 400 }, () => bodyFor(ada!));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
    const again = async (raw: string): Promise<Reply> => {
      for (;;) {
        const reply = await deliver(at, agent, raw).catch(() => undefined);
        if (reply && reply.status !== 503) return reply;
        await delay(50);
      }
    };
    const answered: string[] = [];
    const sending = bodies.map(async (raw, n) => {
      await delay(n * 5);
      const reply = await again(raw);
      answered.push(reply.text);
      return reply;
    });
    await waitFor(async () => answered.length >= 100, { timeoutMs: 60_000, message: "a hundred answers" });
    await stack.part("api").kill("SIGKILL");
    await stack.part("api").start();
    const replies = await Promise.all(sending);
    agent.destroy();
    expect(replies.every(({ status, text }) => status === 200 && text.includes(`"pointsDeducted":${COST},`))).to.equal(true);
    expect(new Set(replies.map(({ text }) => text)).size).to.equal(bodies.length);
    await expectCharged(ada!, bodies.length);
    await proveLedger(admin);
  });
});
