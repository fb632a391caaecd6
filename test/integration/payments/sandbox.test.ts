import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect } from "chai";
import { waitFor } from "../../support/stack.ts";
import { KEY, PID, startSandbox, type Sandbox } from "./rig.ts";

interface Delivery {
  attempt: number;
  status: number | null;
  body: string;
  params: Record<string, string>;
}

describe("the payment sandbox", function () {
  this.timeout(30_000);
  let sandbox: Sandbox;
  let shop: http.Server;
  let notifyUrl: string;
  let folder: string;
  /** What the shop answers next; `success` when empty. */
  const answers: string[] = [];
  const start = () => startSandbox({ DATA_DIR: folder, RETRY_FACTOR: "600" });

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "sandbox-"));
    shop = http.createServer((_req, res) => res.end(answers.shift() ?? "success")).listen(0, "127.0.0.1");
    await new Promise((resolve) => shop.once("listening", resolve));
    notifyUrl = `http://127.0.0.1:${(shop.address() as AddressInfo).port}/notify`;
    sandbox = await start();
  });
  after(() => {
    sandbox.stop();
    shop.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function signed(fields: Record<string, string>, key = KEY): URLSearchParams {
    const all: Record<string, string> = {
      pid: PID,
      type: "alipay",
      notify_url: notifyUrl,
      return_url: notifyUrl,
      name: "点数 & more",
      money: "50.00",
      clientip: "127.0.0.1",
      ...fields,
    };
    const text = Object.keys(all)
      .sort()
      .map((name) => `${name}=${all[name]}`)
      .join("&");
    return new URLSearchParams({
      ...all,
      sign: createHash("md5")
        .update(text + key)
        .digest("hex"),
      sign_type: "MD5",
    });
  }
  const post = async (page: string, body: URLSearchParams) =>
    (await fetch(`${sandbox.url}/epay/${page}`, { method: "POST", body })).json() as Promise<Record<string, unknown>>;
  const query = (orderNo: string, key = KEY) => post("api.php?act=order", new URLSearchParams({ pid: PID, key, out_trade_no: orderNo }));
  const deliveries = async (orderNo: string) =>
    (await (await fetch(`${sandbox.url}/deliveries?out_trade_no=${orderNo}`)).json()) as Delivery[];

  it("opens an order that is well signed, and refuses every other", async () => {
    const good = await post("mapi.php", signed({ out_trade_no: "TKSANDBOX1" }));
    expect(good).to.include({ code: 1 });
    expect((await fetch(String(good["payurl"]))).status).to.equal(200);
    for (const bad of [
      signed({ out_trade_no: "TKSANDBOX2" }, "x"),
      signed({ out_trade_no: "TKSANDBOX2", pid: "7" }),
      signed({ out_trade_no: "TKSANDBOX2", money: "5e1" }),
      new URLSearchParams(),
    ]) {
      expect((await post("mapi.php", bad))["code"]).to.equal(-1);
      expect((await fetch(`${sandbox.url}/epay/submit.php?${bad.toString()}`)).status).to.equal(400);
    }
    expect((await fetch(`${sandbox.url}/orders/TKSANDBOX2`)).status).to.equal(404);
    expect((await post("mapi.php", signed({ out_trade_no: "TKSANDBOX1", money: "60.00" })))["code"]).to.equal(-1);
  });

  it("answers queries to the merchant alone", async () => {
    expect(await query("TKSANDBOX1")).to.include({ code: 1, status: 0, money: "50.00" });
    expect(await query("TKSANDBOX1", "x")).to.include({ code: -3 });
    expect(await query("TKNOTHING1")).to.include({ code: -1 });
    const byGet = await fetch(`${sandbox.url}/epay/api.php?act=order&pid=${PID}&key=${KEY}&out_trade_no=TKSANDBOX1`);
    expect(await byGet.json()).to.include({ code: 1, status: 0 });
  });

  it("repeats a notice until it is acknowledged", async () => {
    answers.push("fail", "oops");
    await sandbox.pay("TKSANDBOX1", "ok");
    const sent = await waitFor(async () => {
      const all = await deliveries("TKSANDBOX1");
      return all.length === 3 ? all : undefined;
    });
    expect(sent.map(({ attempt, body }) => [attempt, body])).to.deep.equal([
      [1, "fail"],
      [2, "oops"],
      [3, "success"],
    ]);
    expect(await query("TKSANDBOX1")).to.include({ code: 1, status: 1 });
  });

  it("sends a notice as often as it is told", async () => {
    await post("mapi.php", signed({ out_trade_no: "TKSANDBOX3" }));
    await sandbox.pay("TKSANDBOX3", "duplicate:12");
    const sent = await deliveries("TKSANDBOX3");
    expect(sent).to.have.length(12);
    expect(new Set(sent.map(({ params }) => params["sign"])).size).to.equal(1);
  });

  it("refunds twice if asked twice, as real gateways do", async () => {
    for (let times = 1; times <= 2; times++) {
      expect(
        await post("api.php?act=refund", new URLSearchParams({ pid: PID, key: KEY, out_trade_no: "TKSANDBOX1", money: "50.00" })),
      ).to.include({ code: 1 });
    }
    const order = (await (await fetch(`${sandbox.url}/orders/TKSANDBOX1`)).json()) as { trades: { refunded: string[] }[] };
    expect(order.trades[0]!.refunded).to.deep.equal(["50.00", "50.00"]);
  });

  it("refuses unknown modes and orders", async () => {
    const pay = (orderNo: string, mode: unknown) =>
      fetch(`${sandbox.url}/orders/${orderNo}/pay`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ mode }),
      });
    expect((await pay("TKNOTHING1", "ok")).status).to.equal(404);
    for (const mode of ["nope", "duplicate", "duplicate:0", "duplicate:99999", 7, null])
      expect((await pay("TKSANDBOX1", mode)).status, String(mode)).to.equal(400);
  });

  it("lists orders on a page a person can use", async () => {
    const page = await (await fetch(sandbox.url)).text();
    expect(page).to.contain("TKSANDBOX1").and.contain("wrong_amount");
  });

  it("remembers its orders over a restart", async () => {
    sandbox.stop();
    sandbox = await start();
    expect(await query("TKSANDBOX1")).to.include({ code: 1, status: 1 });
    expect(await deliveries("TKSANDBOX3")).to.have.length(12);
  });
});
