import { expect } from "chai";
import { readEpayNotice } from "../../../src/payments/providers/epay-notice.ts";
import { sign } from "../../../src/payments/providers/epay-sign.ts";
import { sha256 } from "../../../src/platform/secrets.ts";
import type { NoticeResult } from "../../../src/payments/providers/types.ts";

const KEYS = { pid: "1001", key: "TkTestEpayKey0000000000000000001", separator: "" };
const VECTOR =
  "pid=1001&trade_no=2026112122001400001&out_trade_no=TK202611210001&type=alipay&name=%E7%82%B9%E6%95%B0+50%2B5+%26+bonus&money=50.00&trade_status=TRADE_SUCCESS&param=&sign_type=MD5&sign=05ce3118b008e423d0f355e11021bb20";
const CANONICAL =
  "money=50.00&name=点数 50+5 & bonus&out_trade_no=TK202611210001&pid=1001&trade_no=2026112122001400001&trade_status=TRADE_SUCCESS&type=alipay";
const GOOD = {
  pid: "1001",
  trade_no: "2026112122001400001",
  out_trade_no: "TK202611210001",
  type: "alipay",
  name: "Credits",
  money: "50.00",
  trade_status: "TRADE_SUCCESS",
};

const get = (query: string): NoticeResult => readEpayNotice({ method: "GET", query, contentType: undefined, body: Buffer.alloc(0) }, KEYS);
const post = (body: string, contentType = "application/x-www-form-urlencoded", query = ""): NoticeResult =>
  readEpayNotice({ method: "POST", query, contentType, body: Buffer.from(body) }, KEYS);
const signed = (fields: Record<string, string>, key = KEYS.key) =>
  new URLSearchParams({ ...fields, sign: sign(fields, key), sign_type: "MD5" }).toString();
const reason = (result: NoticeResult) => (result.kind === "refused" ? result.reason : result.kind);

describe("Epay callback", () => {
  it("is read from the query or from a form", () => {
    for (const result of [get(VECTOR), post(VECTOR), post(VECTOR, "application/x-www-form-urlencoded; charset=utf-8")]) {
      expect(result).to.deep.equal({
        kind: "notice",
        notice: {
          kind: "paid",
          eventId: sha256(CANONICAL),
          orderNo: "TK202611210001",
          tradeNo: "2026112122001400001",
          amount: 5000n,
          currency: "CNY",
        },
      });
    }
  });

  it("has the same event id however often and in whatever order of parameters it comes", () => {
    const first = get(VECTOR);
    const turned = get(VECTOR.split("&").reverse().join("&"));
    if (first.kind !== "notice" || turned.kind !== "notice") throw new Error("refused");
    expect(turned.notice.eventId)
      .to.equal(first.notice.eventId)
      .and.to.match(/^[0-9a-f]{64}$/);
  });

  it("counts unknown parameters as part of what is signed", () => {
    expect(reason(get(signed({ ...GOOD, buyer: "x1" })))).to.equal("notice");
    expect(reason(get(`${signed(GOOD)}&buyer=x1`))).to.equal("bad_signature");
  });

  it("is refused without a good signature", () => {
    for (const query of [
      VECTOR.replace("money=50.00", "money=5000.00"),
      VECTOR.replace(/&sign=.*/, ""),
      VECTOR.replace(/&sign=.*/, "&sign="),
      VECTOR.replace("sign_type=MD5", "sign_type=RSA"),
      VECTOR.replace("&sign_type=MD5", ""),
      signed(GOOD, "another key"),
      "",
      "x=1",
    ]) {
      expect(reason(get(query)), query).to.equal("bad_signature");
    }
  });

  it("is refused when parameters are repeated, nested or not well encoded", () => {
    for (const query of [
      `${VECTOR}&money=50.00`,
      `${VECTOR}&a[b]=1`,
      `${VECTOR}&a%5Bb%5D=1`,
      `${VECTOR}&__proto__[x]=1`,
      `${VECTOR}&x=%ff`,
      `${VECTOR}&x=%`,
      `${VECTOR}&=1`,
      Array.from({ length: 65 }, (_, index) => `a${index}=1`).join("&"),
    ]) {
      expect(reason(get(query)), query.slice(-20)).to.equal("malformed");
    }
    expect(reason(get("__proto__=1&constructor=2"))).to.equal("bad_signature");
  });

  it("is refused when a value could be taken for two parameters", () => {
    for (const [field, value] of [
      ["trade_no", "1&b=2"],
      ["type", "ali=pay"],
      ["trade_status", "TRADE_SUCCESS\n"],
      ["money", " 50.00"],
      ["out_trade_no", "TK2026\u00a011210001"],
    ] as const) {
      expect(reason(get(signed({ ...GOOD, [field]: value }))), field).to.equal("malformed");
    }
    expect(reason(get(signed({ ...GOOD, name: "50+5 & bonus=1", param: "a=b&c" })))).to.equal("notice");
  });

  it("is refused as a form of another type, or with parameters in two places", () => {
    expect(reason(post(VECTOR, "application/json"))).to.equal("malformed");
    expect(reason(post(VECTOR, ""))).to.equal("malformed");
    expect(reason(post(VECTOR, "application/x-www-form-urlencoded", "a=1"))).to.equal("malformed");
    expect(reason(post("", "", VECTOR))).to.equal("notice");
  });

  it("is refused for another merchant, strange numbers and strange sums", () => {
    expect(reason(get(signed({ ...GOOD, pid: "1002" })))).to.equal("wrong_merchant");
    expect(reason(get(signed({ ...GOOD, out_trade_no: "1" })))).to.equal("unknown_order");
    expect(reason(get(signed({ ...GOOD, trade_no: "" })))).to.equal("malformed");
    expect(reason(get(signed({ ...GOOD, trade_status: "" })))).to.equal("malformed");
    for (const money of ["-50.00", "5e1", "50.001", "５０", "1,000.00", "", "0x32"]) {
      expect(reason(get(signed({ ...GOOD, money }))), money).to.equal("wrong_amount");
    }
  });

  it("says paid for TRADE_SUCCESS alone", () => {
    for (const status of ["TRADE_CLOSED", "WAIT_BUYER_PAY", "trade_success", "TRADE_FINISHED"]) {
      const result = get(signed({ ...GOOD, trade_status: status }));
      expect(result.kind === "notice" && result.notice.kind, status).to.equal("other");
    }
  });
});
