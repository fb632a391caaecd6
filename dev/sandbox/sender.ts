import type { Pending, SandboxOrder, Store } from "./store.ts";

/** Sends notices as a gateway does: GET, the answer `success` ends it, anything else is tried again on a schedule. */
export interface Sender {
  send(notice: { order: SandboxOrder; mode: string; params: Record<string, string>; retry: boolean }): Promise<void>;
  /** From now on the gateway answers queries about this order slowly. */
  slowDown(outTradeNo: string): void;
  isSlow(outTradeNo: string): boolean;
  stop(): void;
}

/** Seconds between the sendings of a notice that is not acknowledged; divided by the factor. */
const SCHEDULE_S = [60, 180, 1_200, 3_600, 7_200, 21_600, 54_000];
const TIMEOUT_MS = 10_000;
const TICK_MS = 200;
const KEPT_BODY = 200;

export function createSender(store: Store, options: { factor: number }): Sender {
  const slow = new Set<string>();
  const ticker = setInterval(() => void retryDue(), TICK_MS);

  async function deliver(pending: Pending): Promise<boolean> {
    const started = performance.now();
    const url = new URL(pending.url);
    for (const [name, value] of Object.entries(pending.params)) url.searchParams.set(name, value);
    let status: number | null = null;
    let body = "";
    try {
      const response = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MS) });
      status = response.status;
      body = await response.text();
    } catch (error) {
      body = (error as Error).message;
    }
    store.deliveries.push({
      id: store.next(),
      out_trade_no: pending.out_trade_no,
      mode: pending.mode,
      attempt: pending.attempt,
      url: pending.url,
      sent_at: new Date().toISOString(),
      params: pending.params,
      status,
      body: body.slice(0, KEPT_BODY),
      ms: Math.round(performance.now() - started),
    });
    store.save();
    return status === 200 && body.trim() === "success";
  }

  function later(pending: Pending): void {
    const pause = SCHEDULE_S[pending.attempt - 1];
    if (pause === undefined) return;
    store.pending.push({ ...pending, attempt: pending.attempt + 1, due: Date.now() + (pause * 1_000) / options.factor });
    store.save();
  }

  async function retryDue(): Promise<void> {
    const due = store.pending.filter((pending) => pending.due <= Date.now());
    if (due.length === 0) return;
    store.pending = store.pending.filter((pending) => pending.due > Date.now());
    await Promise.all(
      due.map(async (pending) => {
        if (!(await deliver(pending))) later(pending);
      }),
    );
  }

  return {
    async send({ order, mode, params, retry }) {
      const pending: Pending = { out_trade_no: order.out_trade_no, mode, params, url: order.notify_url, attempt: 1, due: 0 };
      if (!(await deliver(pending)) && retry) later(pending);
    },
    slowDown: (outTradeNo) => void slow.add(outTradeNo),
    isSlow: (outTradeNo) => slow.has(outTradeNo),
    stop: () => clearInterval(ticker),
  };
}
