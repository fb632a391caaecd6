/** What the rest of the product knows about a payment provider. One file per provider implements it. */
export interface PaymentProvider {
  /** Its name in routes, orders and the ledger account `clearing:<name>`. */
  readonly name: string;
  /** Our account there. An order belongs to one provider and one merchant. */
  readonly merchant: string;
  /** Ways to pay there, the default first. */
  readonly channels: readonly string[];
  /** The only currency it takes here. */
  readonly currency: string;
  /** Makes the payment; the same order again gives the same payment. Never throws because the provider cannot be reached. */
  create(payment: NewPayment): Promise<CreatedPayment>;
  /** Asks what became of an order. Throws {@link ProviderUnreachable} when there is no usable answer. */
  query(orderNo: string): Promise<QueryResult>;
  /** Reads a callback and verifies its signature and merchant. Never throws. */
  readNotice(request: RawNotice): NoticeResult;
  /** What to answer a callback that was taken. */
  readonly acknowledgement: string;
}

export interface NewPayment {
  orderNo: string;
  channel: string;
  /** Minor units. */
  amount: bigint;
  clientIp: string;
}

export interface CreatedPayment {
  /** A page that a browser can open. */
  payUrl: string;
  /** What to show as a QR code, where the provider gives one. */
  qrCode: string | null;
  /** Why the provider's API was not used, if it was not. */
  problem?: string;
}

export type QueryResult = { kind: "open" } | { kind: "paid"; tradeNo: string; amount: bigint };

/** A callback as it came, before anything of it is believed. */
export interface RawNotice {
  method: "GET" | "POST";
  /** The query string without "?", as sent. */
  query: string;
  contentType: string | undefined;
  body: Buffer;
}

/** A callback whose signature and merchant are right. */
export interface Notice {
  kind: "paid" | "other";
  eventId: string;
  orderNo: string;
  tradeNo: string;
  /** Minor units. */
  amount: bigint;
  currency: string;
}

/** Why a callback was refused; each kind is stored, counted and alerted. */
export type RefusalKind =
  | "too_large"
  | "malformed"
  | "bad_signature"
  | "wrong_merchant"
  | "unknown_order"
  | "order_of_another_provider"
  | "wrong_currency"
  | "wrong_amount"
  | "trade_of_another_order";

export type NoticeResult = { kind: "notice"; notice: Notice } | { kind: "refused"; reason: RefusalKind; orderNo?: string };

/** The provider gave no answer that can be used. The message never holds what was sent. */
export class ProviderUnreachable extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ProviderUnreachable";
  }
}
