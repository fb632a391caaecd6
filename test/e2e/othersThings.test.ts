import { expect } from "chai";
import { customer, operator, request, type Person } from "../support/people.ts";
import { product, type Product, waitFor } from "../support/stack.ts";

interface Operation {
  requestBody?: { content: Record<string, { schema?: { required?: string[] } }> };
}
interface Target {
  method: string;
  path: string;
}

/** What is nobody's own, or is walked elsewhere: prices of models, a provider's callbacks, a platform's reports, campaigns, statements (quotas.test.ts). */
const NOT_OWNED = /^\/api\/(models\/|payments\/\{provider\}|usage\/sources\/|user\/campaigns\/|user\/billing\/statements\/)/;

/** The least body that each of these takes. */
const BODIES: Record<string, object> = {
  "PATCH /api/user/keys/{id}": { name: "mine now" },
};

describe("what belongs to somebody else", function () {
  this.timeout(60_000);
  let where: Product;
  let ada: Person & { key: string };
  let grace: Person;
  let all: Target[];
  /** Ada's things, by the beginning of the paths that are about them. */
  let things: [prefix: RegExp, ids: Record<string, string>][];

  before(async () => {
    where = await product();
    const admin = await operator(where);
    [ada, grace] = [await customer(where, admin, { credits: "20" }), await customer(where, admin, { credits: "20" })];
    const { paths } = (await (await fetch(`${where.api}/openapi.json`)).json()) as { paths: Record<string, Record<string, Operation>> };
    all = Object.entries(paths)
      .filter(([path]) => path.startsWith("/api/") && !path.startsWith("/api/admin/") && path.includes("{") && !NOT_OWNED.test(path))
      .flatMap(([path, operations]) => Object.keys(operations).map((method) => ({ method: method.toUpperCase(), path })));

    const task = await ada.post<{ id: string }>("/api/tasks", {
      name: "Kettle",
      engine: "simulate",
      frame_start: 1,
      frame_end: 1,
      width: 32,
      height: 18,
    });
    const upload = await ada.post<{ file_id: string }>("/api/files/uploads", {
      name: "a.blend",
      size: 7,
      content_type: "application/x-blender",
      kind: "scene",
    });
    const { items: keys } = await ada.get<{ items: { id: string }[] }>("/api/user/keys");
    const minted = await request<{ id: string }>(where.api, "POST", "/api/keys/tokens", { token: ada.key, body: { budget: "1" } });
    const token = minted.body.data;
    const order = await ada.post<{ order_no: string }>("/api/topup/orders", { amount: "50.00", currency: "CNY", method: "epay" });
    const { items: sessions } = await ada.get<{ items: { id: string }[] }>("/api/auth/sessions");
    const bill = await waitFor(
      async () => {
        const { items } = await ada.get<{ items: { id: string }[] }>("/api/user/billing");
        return items[0];
      },
      { timeoutMs: 30_000, message: "a bill" },
    );
    things = [
      [/^\/api\/(v1\/)?tasks\//, { id: task.id }],
      [/^\/api\/(v1\/)?files\//, { id: upload.file_id }],
      [/^\/api\/user\/keys\//, { id: keys[0]!.id, tokenId: token.id }],
      [/^\/api\/topup\/orders\//, { order_no: order.order_no }],
      [/^\/api\/auth\/sessions\//, { id: sessions[0]!.id }],
      [/^\/api\/user\/billing\//, { id: bill.id }],
    ];
  });

  const placeOf = ({ path }: Target): string => {
    const ids = things.find(([prefix]) => prefix.test(path))?.[1];
    return path.replace(/\{(\w+)\}/g, (_, name: string) => ids?.[name] ?? `nothing-known-of-${name}`);
  };
  const ask = (target: Target, { token }: Person) =>
    request(where.api, target.method, placeOf(target), {
      token,
      ...(["POST", "PUT", "PATCH"].includes(target.method) ? { body: BODIES[`${target.method} ${target.path}`] ?? {} } : {}),
    });

  it("is known to this test on every route that names a thing", () => {
    expect(all.length).to.be.greaterThan(25);
    for (const target of all) expect(placeOf(target), target.path).to.not.contain("nothing-known-of");
  });

  it("is not there, on every route", async () => {
    for (const target of all) {
      const answer = await ask(target, grace);
      expect([answer.status, answer.body.error?.code], `${target.method} ${target.path}`).to.deep.equal([404, "not_found"]);
    }
  });

  it("is there for its owner afterwards, untouched", async () => {
    for (const target of all.filter(({ method, path }) => method === "GET" && !/(download|download-url)$/.test(path))) {
      const answer = await ask(target, ada);
      expect(answer.status, `${target.method} ${target.path}: ${JSON.stringify(answer.body)}`).to.equal(200);
    }
  });
});
