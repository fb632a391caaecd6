import { expect } from "chai";
import { operator, register, request, unique } from "../support/people.ts";
import { product } from "../support/stack.ts";

interface Tokens {
  access_token: string;
  refresh_token: string;
}

describe("the same request again", () => {
  it("ten orders at once with one Idempotency-Key are one order, and each caller gets it", async () => {
    const at = await product();
    const ada = await register(at);
    const key = unique("once");
    const body = { amount: "60.00", currency: "CNY", method: "epay" };
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => ada.call<{ order_no: string }>("POST", "/api/topup/orders", body, { "idempotency-key": key })),
    );
    expect(answers.map((answer) => answer.status)).to.deep.equal(Array.from({ length: 10 }, () => 201));
    expect(new Set(answers.map((answer) => answer.body.data.order_no)).size).to.equal(1);
    const other = await ada.call("POST", "/api/topup/orders", { ...body, amount: "61.00" }, { "idempotency-key": key });
    expect([other.status, other.body.error?.code]).to.deep.equal([409, "idempotency_mismatch"]);
  });

  it("a refresh token that was used ends the session of whoever uses it again, at once", async () => {
    const at = await product();
    const first = await request<Tokens>(at.api, "POST", "/api/auth/login", {
      body: { email: at.admin.email, password: at.admin.password },
    });
    const refresh = (token: string) => request<Tokens>(at.api, "POST", "/api/auth/refresh", { body: { refresh_token: token } });
    const second = await refresh(first.body.data.refresh_token);
    expect(second.status).to.equal(200);
    expect((await refresh(first.body.data.refresh_token)).status).to.equal(401);
    expect((await refresh(second.body.data.refresh_token)).status).to.equal(401);
    expect((await request(at.api, "GET", "/api/user/me", { token: second.body.data.access_token })).status).to.equal(401);
  });

  it("100 unpaid orders at once stop at the cap", async () => {
    const at = await product();
    const ada = await register(at);
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => ada.call("POST", "/api/topup/orders", { amount: "10", currency: "CNY", method: "epay" })),
    );
    const made = answers.filter((answer) => answer.status === 201).length;
    expect(made).to.be.within(1, 50);
    expect(answers.every((answer) => [201, 429, 503].includes(answer.status))).to.equal(true);
  });

  it("an operator's credit with one Idempotency-Key is given once", async () => {
    const at = await product();
    const admin = await operator(at);
    const ada = await register(at);
    const key = unique("credit");
    const give = () =>
      admin.call<{ transfer_id: string; balance: string }>(
        "POST",
        `/api/admin/users/${ada.id}/credits`,
        { amount: "5", reason: "test" },
        { "idempotency-key": key },
      );
    const answers = await Promise.all([give(), give(), give()]);
    expect(new Set(answers.map((answer) => answer.body.data.transfer_id)).size).to.equal(1);
    expect((await ada.get<{ total: string }>("/api/user/balance")).total).to.equal("5");
  });
});
