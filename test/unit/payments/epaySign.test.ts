import { expect } from "chai";
import { canonical, sign, verify } from "../../../src/payments/providers/epay-sign.ts";

const KEY = "TkTestEpayKey0000000000000000001";
const NAME = "点数 50+5 & bonus";
const CREATE = {
  pid: "1001",
  type: "alipay",
  out_trade_no: "TK202611210001",
  notify_url: "https://pay.example.com/api/payments/epay/notify",
  return_url: "https://pay.example.com/topup/result?from=epay",
  name: NAME,
  money: "50.00",
  param: "",
};
const NOTIFY = {
  pid: "1001",
  trade_no: "2026112122001400001",
  out_trade_no: "TK202611210001",
  type: "alipay",
  name: NAME,
  money: "50.00",
  trade_status: "TRADE_SUCCESS",
  param: "",
};

describe("Epay signature", () => {
  it("of a request to pay is the published one", () => {
    expect(canonical(CREATE)).to.equal(
      `money=50.00&name=${NAME}&notify_url=https://pay.example.com/api/payments/epay/notify&out_trade_no=TK202611210001&pid=1001&return_url=https://pay.example.com/topup/result?from=epay&type=alipay`,
    );
    expect(sign(CREATE, KEY)).to.equal("db915461b120fb848ee670dbb097293d");
  });

  it("of a callback is the published one, whatever sign and sign_type say", () => {
    expect(sign(NOTIFY, KEY)).to.equal("05ce3118b008e423d0f355e11021bb20");
    expect(sign({ ...NOTIFY, sign: "x", sign_type: "MD5" }, KEY)).to.equal("05ce3118b008e423d0f355e11021bb20");
  });

  it("is verified only when it is exactly right", () => {
    const good = { ...NOTIFY, sign: "05ce3118b008e423d0f355e11021bb20", sign_type: "MD5" };
    expect(verify(good, KEY)).to.equal(true);
    expect(verify({ ...good, money: "5000.00" }, KEY)).to.equal(false);
    expect(verify({ ...good, extra: "1" }, KEY)).to.equal(false);
    expect(verify(good, `${KEY}x`)).to.equal(false);
    for (const bad of ["", "0", good.sign.toUpperCase(), `${good.sign}0`, good.sign.slice(1), "é".repeat(32)]) {
      expect(verify({ ...good, sign: bad }, KEY), bad).to.equal(false);
    }
    expect(verify(NOTIFY, KEY)).to.equal(false);
  });

  it("puts a separator before the key where a gateway wants one", () => {
    expect(sign(NOTIFY, KEY, "&key=")).to.equal(sign(NOTIFY, `&key=${KEY}`));
    expect(sign(NOTIFY, KEY, "&key=")).to.not.equal(sign(NOTIFY, KEY));
  });
});
