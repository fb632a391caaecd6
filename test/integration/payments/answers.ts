/** What a test reads of answers. */

export interface Answer<T> {
  status: number;
  text: string;
  /** As the test that asks knows it. */
  data: T;
  error: { code: string; details: { field: string }[] };
  message: string;
}

/** An order as its buyer sees it. */
export interface Order {
  order_no: string;
  status: string;
  amount: string;
  credits: string;
  /** Null once it cannot be paid any more. */
  pay_url: string | null;
  paid_at: string | null;
  workflow_id: string;
  workflow_url: string;
  flags: string[];
}

export interface Bill {
  id: string;
  type: string;
  amount: string;
  credits: string;
  status: string;
}

/** Something that happened on a wallet. */
export interface Entry {
  id: string;
  type: string;
  amount: string;
  balance_after: string;
  call: object | null;
  burned: { source: string; amount: string; expires_at: string | null }[];
}

export interface List<T> {
  items: T[];
  total: number;
}
