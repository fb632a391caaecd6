import { timingSafeEqual } from "node:crypto";
import { epaySignature } from "./sign.ts";
import type { SandboxOrder, Store, Trade } from "./store.ts";

/** The gateway's own rules: which requests it takes, and what it answers about orders. */

export interface Merchant {
  pid: string;
  key: string;
}

export type Params = Map<string, string>;

const REQUIRED = ["pid", "type", "out_trade_no", "notify_url", "return_url", "name", "money", "sign", "sign_type"];
const TYPES = ["alipay", "wxpay", "qqpay", "bank"];

function sameText(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function isWebUrl(text: string): boolean {
  return URL.canParse(text) && ["http:", "https:"].includes(new URL(text).protocol);
}

/** What is wrong with a request to pay, as gateways word it; undefined when it is good. */
export function problemOf(params: Params, merchant: Merchant): string | undefined {
  const missing = REQUIRED.find((name) => !params.get(name));
  if (missing) return `${missing} is missing`;
  if (params.get("pid") !== merchant.pid) return "there is no such merchant";
  if (params.get("sign_type") !== "MD5") return "sign_type must be MD5";
  if (!sameText(params.get("sign") ?? "", epaySignature(params, merchant.key))) return "the signature is wrong";
  if (!TYPES.includes(params.get("type") ?? "")) return "there is no such type";
  if (!/^[0-9]{1,9}\.[0-9]{2}$/.test(params.get("money") ?? "") || Number(params.get("money")) <= 0) return "money is wrong";
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(params.get("out_trade_no") ?? "")) return "out_trade_no is wrong";
  if (Buffer.byteLength(params.get("name") ?? "") > 127) return "name is too long";
  if (!isWebUrl(params.get("notify_url") ?? "") || !isWebUrl(params.get("return_url") ?? "")) return "a URL is wrong";
  return undefined;
}

/** Opens the order, or finds it again; the same number with other money is refused. */
export function openOrder(store: Store, params: Params): SandboxOrder | undefined {
  const number = params.get("out_trade_no")!;
  const known = store.orders.get(number);
  if (known) return known.money === params.get("money") ? known : undefined;
  const order: SandboxOrder = {
    out_trade_no: number,
    pid: params.get("pid")!,
    type: params.get("type")!,
    name: params.get("name")!,
    money: params.get("money")!,
    notify_url: params.get("notify_url")!,
    return_url: params.get("return_url")!,
    param: params.get("param") ?? "",
    created_at: new Date().toISOString(),
    trade_no: newTradeNo(store),
    trades: [],
  };
  store.orders.set(number, order);
  store.save();
  return order;
}

export function newTradeNo(store: Store): string {
  return `${localTime(new Date()).replace(/\D/g, "")}${String(store.next()).padStart(7, "0")}`;
}

/** Takes a buyer's money. */
export function payOrder(store: Store, order: SandboxOrder, money: string, options: { anew?: boolean } = {}): Trade {
  const trade_no = order.trades.length === 0 && !options.anew ? order.trade_no : newTradeNo(store);
  const trade = { trade_no, money, paid_at: new Date().toISOString(), refunded: [] };
  order.trades.push(trade);
  store.save();
  return trade;
}

/** `yyyy-MM-dd HH:mm:ss`, GMT+8. */
export function localTime(time: Date): string {
  return new Date(time.getTime() + 8 * 3_600_000).toISOString().replace("T", " ").slice(0, 19);
}

/** The payment the gateway answers for: the first for the whole sum, else the newest. */
export function tradeOf(order: SandboxOrder): Trade | undefined {
  return order.trades.find((trade) => trade.money === order.money) ?? order.trades.at(-1);
}

function authorized(params: Params, merchant: Merchant): boolean {
  return params.get("pid") === merchant.pid && sameText(params.get("key") ?? "", merchant.key);
}

/** `api.php?act=order` and `act=refund`. A refund is made as often as it is asked for, as real gateways do. */
export function answerApi(store: Store, params: Params, merchant: Merchant): object {
  if (!authorized(params, merchant)) return { code: -3, msg: "the merchant's id or key is wrong" };
  const order =
    store.orders.get(params.get("out_trade_no") ?? "") ??
    [...store.orders.values()].find((candidate) => candidate.trades.some((trade) => trade.trade_no === params.get("trade_no")));
  if (!order) return { code: -1, msg: "there is no such order" };
  const trade = tradeOf(order);
  switch (params.get("act")) {
    case "order":
      return {
        code: 1,
        msg: "success",
        trade_no: trade?.trade_no ?? order.trade_no,
        out_trade_no: order.out_trade_no,
        api_trade_no: "",
        type: order.type,
        pid: order.pid,
        addtime: localTime(new Date(order.created_at)),
        endtime: trade ? localTime(new Date(trade.paid_at)) : null,
        name: order.name,
        money: trade?.money ?? order.money,
        status: trade ? 1 : 0,
        param: order.param,
        buyer: "",
      };
    case "refund": {
      const paid = order.trades.find((candidate) => candidate.trade_no === params.get("trade_no")) ?? trade;
      if (!paid) return { code: -1, msg: "the order is not paid" };
      if (!/^[0-9]{1,9}(\.[0-9]{1,2})?$/.test(params.get("money") ?? "")) return { code: -1, msg: "money is wrong" };
      paid.refunded.push(params.get("money")!);
      store.save();
      return { code: 1, msg: "refunded" };
    }
    default:
      return { code: -5, msg: "there is no such act" };
  }
}
