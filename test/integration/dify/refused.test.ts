import net from "node:net";
import express from "express";
import { expect } from "chai";
import { difyWebhookRouter, type DifyWebhookDeps } from "../../../src/usage/dify/index.ts";
import type { RefusalView } from "../../../src/usage/dify/refusalRoutes.ts";
import { createVerifier } from "../../../src/usage/dify/signature.ts";
import { signed, WEBHOOK_KEY, WEBHOOK_SECRET } from "../../support/dify.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { silent } from "../../support/usage.ts";
import { message, startDify, type Answered, type DifyRig, type Page, type Person } from "./rig.ts";

const now = () => Math.floor(Date.now() / 1_000);

describe("a delivery that is not right", function () {
  this.timeout(60_000);
  const places = useStack();
  let rig: DifyRig;
  let ada: Person;

  before(async () => {
    rig = await startDify(places.databaseUrl);
    await rig.model("gpt-4");
    ada = await rig.person(1_000);
  });
  afterEach(async () => {
    // Whatever came, nobody was charged for it.
    expect((await rig.balance(ada)).total).to.equal(1_000_000_000n);
    expect((await rig.pool.query("SELECT count(*)::integer AS count FROM dify_events")).rows[0].count).to.equal(0);
    expect((await rig.ledger.verify()).differences).to.deep.equal([]);
  });
  after(() => rig.close());

  const body = (data: Record<string, unknown> = {}) => message({ user_id: ada.userId, ...data });
  const refusals = async (reason: string): Promise<RefusalView[]> =>
    (await rig.admin<Page<RefusalView>>("GET", `/api/admin/dify/refusals?reason=${reason}&page_size=100`)).body.data.items;
  const timesOf = async (reason: string) => (await refusals(reason)).reduce((sum, { times }) => sum + times, 0);

  async function refused(reason: string, deliver: () => Promise<Answered>, status: number, code: string): Promise<Answered> {
    const before = await timesOf(reason);
    const answer = await deliver();
    expect([answer.status, answer.body?.error?.code], answer.text).to.deep.equal([status, code]);
    expect(answer.body).to.include({ success: false });
    expect(answer.body.message).to.be.a("string").and.not.equal("");
    await waitFor(async () => (await timesOf(reason)) === before + 1, { message: `${reason} to be recorded` });
    return answer;
  }

  const strangers: [string, string, () => Promise<Answered>, string][] = [
    ["without a key", "key_missing", () => rig.send(body(), { key: null }), "unauthenticated"],
    ["with another key", "key_wrong", () => rig.send(body(), { key: "somebody-elses-key-01" }), "unauthenticated"],
    ["with a key in another case", "key_wrong", () => rig.send(body(), { key: WEBHOOK_KEY.toUpperCase() }), "unauthenticated"],
    ["unsigned", "unsigned", () => rig.send(body(), { signature: null }), "invalid_signature"],
    ["without a time", "unsigned", () => rig.send(body(), { timestamp: null }), "invalid_signature"],
    ["signed with another secret", "forged", () => rig.send(body(), { secret: "somebody-elses-secret" }), "invalid_signature"],
    ["with a signature that is none", "forged", () => rig.send(body(), { signature: "sha256=00" }), "invalid_signature"],
    ["with a time that is none", "forged", () => rig.send(body(), { timestamp: "soon" }), "invalid_signature"],
    [
      "changed on its way",
      "forged",
      () => {
        const raw = JSON.stringify(body());
        return rig.raw(raw.replace("1500", "1501"), signed(raw));
      },
      "invalid_signature",
    ],
    [
      "signed for another time",
      "forged",
      () => {
        const raw = JSON.stringify(body());
        return rig.raw(raw, { ...signed(raw, { timestamp: now() - 10 }), "x-timestamp": String(now()) });
      },
      "invalid_signature",
    ],
    [
      "cut short, with the signature of the whole",
      "forged",
      () => {
        const raw = JSON.stringify(body());
        return rig.raw(raw.slice(0, -20), signed(raw));
      },
      "invalid_signature",
    ],
  ];
  for (const [how, reason, deliver, code] of strangers) {
    it(`${how} is refused with ${code} and recorded`, () => refused(reason, deliver, 401, code));
  }

  for (const [how, age, reason] of [
    ["signed 301 s ago", -302, "stale"],
    ["signed an hour ago", -3_600, "stale"],
    ["signed for 5 minutes from now", 302, "future"],
  ] as const) {
    it(`${how} is refused and kept, for it is authentic`, async () => {
      await refused(reason, () => rig.send(body(), { timestamp: now() + age }), 401, "request_expired");
      expect((await refusals(reason))[0]).to.include({ authenticated: true });
    });
  }

  it("sent again as it was after its time is refused", async () => {
    const raw = JSON.stringify(body());
    const headers = signed(raw, { timestamp: now() - 400 });
    await refused("stale", () => rig.raw(raw, headers), 401, "request_expired");
    await refused("stale", () => rig.raw(raw, headers), 401, "request_expired");
  });

  const malformed: [string, () => unknown][] = [
    ["that is not JSON", () => "event=message_end"],
    ["that is JSON cut short", () => JSON.stringify(body()).slice(0, -1)],
    ["that is no UTF-8", () => Buffer.concat([Buffer.from('{"event":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])],
    ["that is empty", () => ""],
    ["that is a list", () => []],
    ["that is null", () => null],
    ["without data", () => ({ event: "message_end", request_id: "r" })],
    ["without a request id", () => ({ ...body(), request_id: undefined })],
    ["with a request id that is no text", () => ({ ...body(), request_id: 7 })],
    ["without a message id", () => body({ message_id: undefined })],
    ["with an empty message id", () => body({ message_id: "" })],
    ["with a NUL in an id", () => body({ message_id: "a\u0000b" })],
    ["with half a character in an id", () => body({ message_id: "a\ud800" })],
    ["with an id of 201 characters", () => body({ message_id: "x".repeat(201) })],
    ["with a negative count", () => body({ input_tokens: -1 })],
    ["with a fraction of a token", () => body({ output_tokens: 1.5 })],
    ["with 1e18 tokens", () => body({ input_tokens: 1e18 })],
    ["with 2^31 tokens", () => body({ input_tokens: 2 ** 31 })],
    ["with a count beyond what a double can hold", () => JSON.stringify(body()).replace("1500", "123456789012345678901234567890")],
    ["with an infinite count", () => JSON.stringify(body()).replace("1500", "1e999")],
    ["with a count as text", () => body({ input_tokens: "1500" })],
    ["with a count that is null", () => body({ total_tokens: null })],
    ["with a time that is none", () => body({ timestamp: "yesterday" })],
    ["with unix seconds as its time", () => body({ timestamp: now() })],
    ["with a month that is none", () => body({ timestamp: "2026-13-01T00:00:00Z" })],
    ["from the future", () => body({ timestamp: new Date(Date.now() + 3_600_000).toISOString() })],
    ["from the year 9999", () => body({ timestamp: "9999-12-31T23:59:59Z" })],
    ["from 1970", () => body({ timestamp: "1970-01-01T00:00:00Z" })],
  ];
  for (const [how, make] of malformed) {
    it(`rightly signed ${how} is refused with validation_failed and kept`, async () => {
      const made = make();
      const raw = typeof made === "string" || Buffer.isBuffer(made) ? made : JSON.stringify(made);
      await refused("malformed", () => rig.raw(raw, signed(raw)), 400, "validation_failed");
    });
  }

  it("names every field that is wrong", async () => {
    const answer = await rig.send(body({ input_tokens: -1, output_tokens: "8", timestamp: "never" }));
    expect(answer.body.error!.details.map(({ field }: { field: string }) => field)).to.have.members([
      "data.input_tokens",
      "data.output_tokens",
      "data.timestamp",
    ]);
  });

  it("that is too long is refused, whether it says so or not", async () => {
    const raw = JSON.stringify(body({ extra: "x".repeat(70_000) }));
    await refused("oversized", () => rig.raw(raw, { ...signed(raw), "content-length": String(raw.length) }), 413, "payload_too_large");
    await refused("oversized", () => rig.raw(raw, { ...signed(raw), "transfer-encoding": "chunked" }), 413, "payload_too_large");
  });

  it("whose connection ends before its body is recorded", async () => {
    const before = await timesOf("truncated");
    const raw = JSON.stringify(body());
    const { port } = new URL(rig.url);
    const headers = Object.entries({ host: "x", ...signed(raw), "content-length": String(raw.length) });
    const socket = net.connect(Number(port), "127.0.0.1");
    socket.end(
      `POST /api/dify/webhook HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}`).join("\r\n")}\r\n\r\n${raw.slice(0, 50)}`,
    );
    socket.on("error", () => undefined);
    await waitFor(async () => (await timesOf("truncated")) === before + 1, { message: "the truncated delivery to be recorded" });
  });

  it("is shown to operators without its secrets", async () => {
    await refused("forged", () => rig.send(body(), { secret: "somebody-elses-secret" }), 401, "invalid_signature");
    const shown = JSON.stringify(await refusals("forged"));
    expect(shown).to.contain("characters)").and.not.contain(WEBHOOK_KEY);
  });

  it("cannot fill the disk, however many strangers send", async () => {
    await Promise.all(Array.from({ length: 500 }, (_, n) => rig.raw(`stranger ${n}`, { ...signed("x"), "content-type": "text/plain" })));
    await waitFor(async () => (await timesOf("forged")) >= 500, { message: "all to be counted" });
    expect((await refusals("forged")).length).to.be.below(80);
  });

  it("answers 405 for anything but POST", async () => {
    expect((await rig.admin("GET", "/api/dify/webhook")).status).to.equal(405);
  });
});

describe("Dify's webhook in another application", () => {
  it("is an Express router with its dependencies as arguments, and says when it is mounted behind a body parser", async () => {
    const taken: string[] = [];
    const deps: DifyWebhookDeps = {
      intake: {
        take: async ({ message: { messageId } }) => {
          taken.push(messageId);
          return { kind: "repeat", answer: { status: 200, body: '{"success":true}' } };
        },
      },
      verifier: createVerifier({ apiKeys: [WEBHOOK_KEY], secrets: [WEBHOOK_SECRET] }),
      refusals: { keep: async () => undefined, note: () => undefined },
      log: silent,
    };
    const app = express();
    app.use("/hooks/dify", difyWebhookRouter(deps));
    app.use(express.json());
    app.use("/too/late", difyWebhookRouter(deps));
    const server = app.listen(0, "127.0.0.1");
    try {
      await new Promise((resolve) => server.once("listening", resolve));
      const { port } = server.address() as net.AddressInfo;
      const raw = JSON.stringify(message({ message_id: "mounted" }));
      const post = (path: string) => fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", headers: signed(raw), body: raw });
      expect((await post("/hooks/dify")).status).to.equal(200);
      expect(taken).to.deep.equal(["mounted"]);
      expect((await post("/too/late")).status).to.equal(500);
    } finally {
      server.close();
    }
  });
});
