import { setTimeout as delay } from "node:timers/promises";
import { newTradeNo, payOrder, tradeOf, type Merchant } from "./gateway.ts";
import type { Sender } from "./sender.ts";
import { epaySignature } from "./sign.ts";
import type { SandboxOrder, Store, Trade } from "./store.ts";

/** What a buyer, a gateway and a forger can do to an order. */
export const MODES = [
  "ok",
  "late",
  "twice",
  "wrong_amount",
  "forged",
  "lost",
  "wrong_merchant",
  "duplicate:<n>",
  "unpaid_then_paid",
  "closed_after_paid",
  "slow_answer",
] as const;

const MAX_DUPLICATES = 1_000;

interface Act {
  store: Store;
  sender: Sender;
  merchant: Merchant;
  order: SandboxOrder;
  mode: string;
  /** How long `late` waits. */
  waitMs: number;
}

/** A notice's parameters, signed. */
function notice(act: Act, trade: Trade, changes: { pid?: string; money?: string; status?: string } = {}): Record<string, string> {
  const { order, merchant } = act;
  const params = new Map([
    ["pid", changes.pid ?? order.pid],
    ["trade_no", trade.trade_no],
    ["out_trade_no", order.out_trade_no],
    ["type", order.type],
    ["name", order.name],
    ["money", changes.money ?? trade.money],
    ["trade_status", changes.status ?? "TRADE_SUCCESS"],
    ["param", order.param],
  ]);
  const sign = epaySignature(params, merchant.key);
  return { ...Object.fromEntries(params), sign, sign_type: "MD5" };
}

/** One fen less than ordered, or one more when that would be nothing. */
function otherMoney(money: string): string {
  const fen = Math.round(Number(money) * 100);
  return ((fen > 1 ? fen - 1 : fen + 1) / 100).toFixed(2);
}

/** The whole sum, paid once: pressing again sends the same notice again. */
function paidOnce(act: Act): Trade {
  const paid = tradeOf(act.order);
  return paid?.money === act.order.money ? paid : payOrder(act.store, act.order, act.order.money, { anew: act.order.trades.length > 0 });
}

/** True when the mode is known. */
export function isMode(mode: string): boolean {
  const count = /^duplicate:(\d{1,4})$/.exec(mode)?.[1];
  return count
    ? Number(count) >= 1 && Number(count) <= MAX_DUPLICATES
    : (MODES as readonly string[]).includes(mode) && !mode.startsWith("duplicate");
}

/** Plays a mode. Resolves when its callbacks were sent and answered once; retries go on afterwards. */
export async function play(act: Act): Promise<void> {
  const { store, sender, order, mode } = act;
  const send = (params: Record<string, string>, retry = true) => sender.send({ order, mode, params, retry });
  if (mode.startsWith("duplicate:")) {
    const params = notice(act, paidOnce(act));
    await Promise.all(Array.from({ length: Number(mode.slice(10)) }, () => send(params)));
    return;
  }
  switch (mode) {
    case "ok":
      await send(notice(act, paidOnce(act)));
      return;
    case "late":
      await delay(act.waitMs);
      await send(notice(act, paidOnce(act)));
      return;
    case "lost":
      paidOnce(act);
      return;
    case "twice": {
      const first = paidOnce(act);
      const second = payOrder(store, order, order.money, { anew: true });
      await send(notice(act, first));
      await send(notice(act, second));
      return;
    }
    case "wrong_amount":
      await send(notice(act, payOrder(store, order, otherMoney(order.money), { anew: order.trades.length > 0 })));
      return;
    case "forged": {
      // Nothing was paid; somebody without the key makes up a notice.
      const params = notice(act, { trade_no: newTradeNo(store), money: order.money, paid_at: "", refunded: [] });
      await send({ ...params, sign: params["sign"]!.replace(/./g, (digit) => (digit === "0" ? "f" : "0")) }, false);
      return;
    }
    case "wrong_merchant":
      await send(
        notice(act, { trade_no: newTradeNo(store), money: order.money, paid_at: "", refunded: [] }, { pid: `${order.pid}9` }),
        false,
      );
      return;
    case "unpaid_then_paid":
      await send(notice(act, { trade_no: order.trade_no, money: order.money, paid_at: "", refunded: [] }, { status: "WAIT_BUYER_PAY" }));
      await send(notice(act, paidOnce(act)));
      return;
    case "closed_after_paid": {
      const trade = paidOnce(act);
      await send(notice(act, trade));
      await send(notice(act, trade, { status: "TRADE_CLOSED" }));
      return;
    }
    case "slow_answer":
      sender.slowDown(order.out_trade_no);
      await send(notice(act, paidOnce(act)));
      return;
  }
}
