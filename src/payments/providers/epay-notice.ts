import { sha256 } from "../../platform/secrets.ts";
import { parseMoney } from "../money.ts";
import { ORDER_NO } from "../orderNo.ts";
import { parseParameters } from "../parameters.ts";
import { canonical, verify } from "./epay-sign.ts";
import type { NoticeResult, RawNotice } from "./types.ts";

export interface EpayKeys {
  pid: string;
  key: string;
  separator: string;
}

/** Signed values may hold anything here; everywhere else these characters would let two sets of parameters sign alike. */
const FREE_TEXT = new Set(["name", "param"]);
const AMBIGUOUS = /[&=\s\p{Cc}]/u;
const TRADE_NO = /^[A-Za-z0-9_-]{1,64}$/;

/** The parameters of a callback: of the query for GET, of the form for POST; never of both. */
function parametersOf(request: RawNotice): Record<string, string> | undefined {
  if (request.method === "GET") return request.body.length === 0 ? parseParameters(request.query) : undefined;
  const form = request.body.toString("latin1");
  if (form === "") return parseParameters(request.query);
  if (request.query !== "") return undefined;
  if (!/^application\/x-www-form-urlencoded(;|$)/i.test(request.contentType ?? "")) return undefined;
  return parseParameters(form);
}

/**
 * Verifies an Epay callback: shape, signature, merchant, amount's form, in this order. The message names no time and no nonce: a good
 * one can be replayed for ever, so its event id is the hash of what was signed and only the order's state protects.
 */
export function readEpayNotice(request: RawNotice, keys: EpayKeys): NoticeResult {
  const parameters = parametersOf(request);
  if (!parameters) return { kind: "refused", reason: "malformed" };
  const orderNo = ORDER_NO.test(parameters["out_trade_no"] ?? "") ? parameters["out_trade_no"]! : undefined;
  const about = orderNo ? { orderNo } : {};
  const ambiguous = Object.entries(parameters).some(([name, value]) => !FREE_TEXT.has(name) && AMBIGUOUS.test(value));
  if (ambiguous) return { kind: "refused", reason: "malformed", ...about };
  // The algorithm is ours to choose; what the message says about it is only compared.
  if (parameters["sign_type"] !== "MD5" || !verify(parameters, keys.key, keys.separator)) {
    return { kind: "refused", reason: "bad_signature", ...about };
  }
  if (parameters["pid"] !== keys.pid) return { kind: "refused", reason: "wrong_merchant", ...about };
  if (!orderNo) return { kind: "refused", reason: "unknown_order" };
  const tradeNo = parameters["trade_no"] ?? "";
  if (!TRADE_NO.test(tradeNo) || !parameters["trade_status"]) return { kind: "refused", reason: "malformed", ...about };
  const amount = parseMoney(parameters["money"] ?? "");
  if (amount === undefined) return { kind: "refused", reason: "wrong_amount", ...about };
  const kind = parameters["trade_status"] === "TRADE_SUCCESS" ? "paid" : "other";
  return { kind: "notice", notice: { kind, eventId: sha256(canonical(parameters)), orderNo, tradeNo, amount, currency: "CNY" } };
}
