import { createHash } from "node:crypto";
import { expect } from "chai";
import { operator, register } from "../support/people.ts";
import { product, waitFor } from "../support/stack.ts";

interface Flag {
  id: string;
  order_no: string;
  kind: string;
  resolved_at: string | null;
}

describe("payments that need a person", () => {
  it("a payment of another amount is flagged, seen by operators, and resolved once", async () => {
    const at = await product();
    const admin = await operator(at);
    const ada = await register(at);
    const { order_no } = await ada.post<{ order_no: string }>("/api/topup/orders", { amount: "50.00", currency: "CNY", method: "epay" });
    await fetch(`${at.sandbox}/orders/${order_no}/pay`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ mode: "wrong_amount" }),
    });
    const flag = (await waitFor(
      async () =>
        (await admin.get<{ items: Flag[] }>("/api/admin/topup/flags?open=true&page_size=100")).items.find(
          (item) => item.order_no === order_no,
        ),
      { timeoutMs: 20_000, message: "the flag" },
    )) as Flag;
    expect(flag.kind).to.equal("wrong_amount");
    expect((await ada.get<{ status: string }>(`/api/topup/orders/${order_no}`)).status).to.equal("pending");

    expect((await ada.call("GET", "/api/admin/topup/flags")).status).to.equal(403);
    await admin.post(`/api/admin/topup/flags/${flag.id}/resolve`, { note: "refunded by hand" });
    expect((await admin.call("POST", `/api/admin/topup/flags/${flag.id}/resolve`, { note: "again" })).status).to.equal(409);
    const open = await admin.get<{ items: Flag[] }>("/api/admin/topup/flags?open=true&page_size=100");
    expect(open.items.map((item) => item.id)).to.not.include(flag.id);
  });

  it("a forged callback is listed with its reason and without its signature", async () => {
    const at = await product();
    const admin = await operator(at);
    const ada = await register(at);
    const { order_no } = await ada.post<{ order_no: string }>("/api/topup/orders", { amount: "50.00", currency: "CNY", method: "epay" });
    const sign = createHash("md5").update("made up").digest("hex");
    const query = new URLSearchParams({
      pid: at.sandbox_keys.epay.pid,
      out_trade_no: order_no,
      trade_no: "1",
      type: "alipay",
      name: "x",
      money: "50.00",
      trade_status: "TRADE_SUCCESS",
      sign,
      sign_type: "MD5",
    });
    const refused = await fetch(`${at.api}/api/payments/epay/notify?${query}`);
    expect(refused.status).to.be.within(400, 499);
    const page = await admin.get<{ items: { order_no: string; kind: string }[] }>("/api/admin/payments/refusals?page_size=100");
    expect(page.items.find((item) => item.order_no === order_no)).to.include({ kind: "bad_signature" });
    expect(JSON.stringify(page)).to.not.contain(sign);
  });
});
