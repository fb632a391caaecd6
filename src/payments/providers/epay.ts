import { parseMoney, formatMoney } from "../money.ts";
import { readEpayNotice } from "./epay-notice.ts";
import { sign } from "./epay-sign.ts";
import { ProviderUnreachable, type CreatedPayment, type NewPayment, type PaymentProvider, type QueryResult } from "./types.ts";

export interface EpaySettings {
  /** Base URL, without submit.php. */
  url: string;
  pid: string;
  key: string;
  types: readonly string[];
  separator: string;
  /** Where the gateway sends callbacks, and where it sends the buyer back to. */
  notifyUrl: string;
  returnUrl: string;
  createTimeoutMs?: number;
  queryTimeoutMs?: number;
}

/** Constant and without &, =, quotes: it is signed unencoded. */
const PRODUCT_NAME = "Tollkeeper credits";
const MAX_REPLY_BYTES = 65_536;

type Json = Record<string, unknown>;

/** Sends a form and reads a JSON object. Errors say what went wrong but never what was sent or where exactly: the key is a parameter. */
async function post(url: string, form: Record<string, string>, timeoutMs: number): Promise<Json> {
  let text: string;
  let status: number;
  try {
    const response = await fetch(url, {
      method: "POST",
      body: new URLSearchParams(form),
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    status = response.status;
    text = await limitedText(response);
  } catch (error) {
    throw new ProviderUnreachable(error instanceof DOMException && error.name === "TimeoutError" ? "no answer in time" : "not reachable");
  }
  if (status !== 200) throw new ProviderUnreachable(`answered ${status}`);
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as Json;
  } catch {
    // Said below.
  }
  throw new ProviderUnreachable("answered something that is not JSON");
}

async function limitedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += (chunk as Uint8Array).length;
    if (size > MAX_REPLY_BYTES) throw new Error("too large");
    chunks.push(chunk as Uint8Array);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Numbers arrive as numbers or as text, depending on the gateway. */
const isOne = (value: unknown) => value === 1 || value === "1";
const textOf = (value: unknown) => (typeof value === "string" || typeof value === "number" ? String(value) : "");

function httpUrl(value: unknown): string | undefined {
  return typeof value === "string" && /^https?:\/\/[^\s"'<>]{1,2000}$/.test(value) ? value : undefined;
}

/** The Epay gateway (V1, MD5). There is no single vendor: base URL, merchant and channels are configuration. */
export function createEpay(settings: EpaySettings): PaymentProvider {
  const { pid, key, separator } = settings;
  const base = settings.url.replace(/\/+$/, "");
  const signed = (fields: Record<string, string>) => ({ ...fields, sign: sign(fields, key, separator), sign_type: "MD5" });

  const fieldsOf = (payment: NewPayment) => ({
    pid,
    type: payment.channel,
    out_trade_no: payment.orderNo,
    notify_url: settings.notifyUrl,
    return_url: settings.returnUrl,
    name: PRODUCT_NAME,
    money: formatMoney(payment.amount),
  });

  /** The page every gateway has; it needs no call of ours. */
  const pageUrl = (payment: NewPayment) => `${base}/submit.php?${new URLSearchParams(signed(fieldsOf(payment))).toString()}`;

  async function create(payment: NewPayment): Promise<CreatedPayment> {
    const page = { payUrl: pageUrl(payment), qrCode: null };
    try {
      const form = signed({ ...fieldsOf(payment), clientip: payment.clientIp, device: "pc" });
      const reply = await post(`${base}/mapi.php`, form, settings.createTimeoutMs ?? 3_000);
      if (!isOne(reply["code"])) return { ...page, problem: "the gateway refused mapi.php" };
      const qrCode = typeof reply["qrcode"] === "string" && reply["qrcode"].length <= 2_000 ? reply["qrcode"] : null;
      return { payUrl: httpUrl(reply["payurl"]) ?? page.payUrl, qrCode };
    } catch (error) {
      return { ...page, problem: error instanceof ProviderUnreachable ? `mapi.php: ${error.message}` : "mapi.php failed" };
    }
  }

  async function query(orderNo: string): Promise<QueryResult> {
    // `act` is in the address because gateways read it from there; the key is only in the body.
    const reply = await post(
      `${base}/api.php?act=order`,
      { act: "order", pid, key, out_trade_no: orderNo },
      settings.queryTimeoutMs ?? 5_000,
    );
    // The order is unknown to the gateway until the buyer opens the page.
    if (!isOne(reply["code"]) || !isOne(reply["status"])) return { kind: "open" };
    const amount = parseMoney(textOf(reply["money"]));
    const tradeNo = textOf(reply["trade_no"]);
    if (textOf(reply["out_trade_no"]) !== orderNo || !/^[A-Za-z0-9_-]{1,64}$/.test(tradeNo) || amount === undefined) {
      throw new ProviderUnreachable("answered about something else");
    }
    if (reply["pid"] !== undefined && textOf(reply["pid"]) !== pid) throw new ProviderUnreachable("answered about another merchant");
    return { kind: "paid", tradeNo, amount };
  }

  return {
    name: "epay",
    merchant: pid,
    channels: settings.types,
    currency: "CNY",
    acknowledgement: "success",
    create,
    query,
    readNotice: (request) => readEpayNotice(request, { pid, key, separator }),
  };
}
