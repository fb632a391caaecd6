import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

/** A payment a buyer made. */
export interface Trade {
  trade_no: string;
  money: string;
  paid_at: string;
  refunded: string[];
}

export interface SandboxOrder {
  out_trade_no: string;
  pid: string;
  type: string;
  name: string;
  money: string;
  notify_url: string;
  return_url: string;
  param: string;
  created_at: string;
  trade_no: string;
  trades: Trade[];
}

/** One sending of one notice. */
export interface Delivery {
  id: number;
  out_trade_no: string;
  mode: string;
  attempt: number;
  url: string;
  sent_at: string;
  params: Record<string, string>;
  status: number | null;
  body: string;
  ms: number;
}

/** A notice that was not acknowledged and is sent again. */
export interface Pending {
  out_trade_no: string;
  mode: string;
  params: Record<string, string>;
  url: string;
  attempt: number;
  due: number;
}

export interface Store {
  orders: Map<string, SandboxOrder>;
  deliveries: Delivery[];
  pending: Pending[];
  /** Numbers for trades and deliveries, never the same twice. */
  next(): number;
  save(): void;
}

const KEPT_DELIVERIES = 5_000;
const KEPT_ORDERS = 5_000;

interface Saved {
  counter: number;
  orders: SandboxOrder[];
  deliveries: Delivery[];
  pending: Pending[];
}

function read(file: string): Saved | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Saved;
  } catch {
    return undefined;
  }
}

/** Everything the provider knows, in memory and, when `file` is given, in a file that outlives the process. */
export function openStore(file?: string): Store {
  const saved = file ? read(file) : undefined;
  let counter = saved?.counter ?? 0;
  let timer: NodeJS.Timeout | undefined;
  const store: Store = {
    orders: new Map((saved?.orders ?? []).map((order) => [order.out_trade_no, order])),
    deliveries: saved?.deliveries ?? [],
    pending: saved?.pending ?? [],
    next: () => ++counter,
    save() {
      if (store.deliveries.length > KEPT_DELIVERIES) store.deliveries.splice(0, store.deliveries.length - KEPT_DELIVERIES);
      for (const key of store.orders.keys()) {
        if (store.orders.size <= KEPT_ORDERS) break;
        store.orders.delete(key);
      }
      if (!file || timer) return;
      timer = setTimeout(() => {
        timer = undefined;
        write();
      }, 50);
    },
  };
  function write(): void {
    if (!file) return;
    mkdirSync(path.dirname(file), { recursive: true });
    const { deliveries, pending } = store;
    writeFileSync(`${file}.new`, JSON.stringify({ counter, orders: [...store.orders.values()], deliveries, pending }));
    renameSync(`${file}.new`, file);
  }
  process.on("exit", () => {
    if (timer) write();
  });
  return store;
}
