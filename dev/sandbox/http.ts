import { setTimeout as delay } from "node:timers/promises";
import express, { type Express, type Request, type Response } from "express";
import { answerApi, openOrder, problemOf, type Merchant, type Params } from "./gateway.ts";
import { isMode, MODES, play } from "./modes.ts";
import { indexPage, PAGE_POLICY, payPage, problemPage } from "./pages.ts";
import type { Sender } from "./sender.ts";
import type { SandboxOrder, Store } from "./store.ts";

export interface SandboxOptions {
  store: Store;
  sender: Sender;
  merchant: Merchant;
  /** How long the shop keeps an order open: `late` pays after that, when it is soon. */
  orderTtlMs: number;
  /** How long a slow gateway takes to answer. */
  slowMs: number;
}

const LATE_MARGIN_MS = 2_000;
/** What `late` waits for an order whose time is too far ahead to be waited for: close it in the shop first to see a late payment. */
const LATE_MS = 5_000;
/** A longer wait than this is not waited for by the caller. */
const LONGEST_WAIT_MS = 120_000;
const SHOWN = 100;

/** Flat parameters of query and form; anything else is left out. */
function paramsOf(req: Request): Params {
  const all = { ...(req.query as Record<string, unknown>), ...((req.body ?? {}) as Record<string, unknown>) };
  return new Map(Object.entries(all).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

function html(res: Response, status: number, page: string): void {
  res
    .status(status)
    .set({ "content-security-policy": PAGE_POLICY, "x-content-type-options": "nosniff", "cache-control": "no-store" })
    .type("html")
    .send(page);
}

/** The provider's own interface (`/epay/…`), the control interface, and pages for people. */
export function createSandboxApp(options: SandboxOptions): Express {
  const { store, sender, merchant } = options;
  const app = express();
  app.disable("x-powered-by");
  app.set("query parser", "simple");
  app.use(express.urlencoded({ extended: false, limit: "64kb" }), express.json({ limit: "64kb" }));
  app.get("/healthz", (_req, res) => void res.json({ status: "ok" }));

  app.all("/epay/submit.php", (req, res) => {
    const params = paramsOf(req);
    const problem = problemOf(params, merchant);
    if (problem) return html(res, 400, problemPage(problem));
    const order = openOrder(store, params);
    html(res, order ? 200 : 409, order ? payPage(order) : problemPage("This order number has another amount"));
  });

  app.post("/epay/mapi.php", (req, res) => {
    const params = paramsOf(req);
    const problem = problemOf(params, merchant) ?? (params.get("clientip") ? undefined : "clientip is missing");
    if (problem) return void res.json({ code: -1, msg: problem });
    const order = openOrder(store, params);
    if (!order) return void res.json({ code: -1, msg: "this order number has another amount" });
    const payurl = `${req.protocol}://${req.get("host") ?? ""}/pay/${encodeURIComponent(order.out_trade_no)}`;
    res.json({ code: 1, msg: "success", trade_no: order.trade_no, payurl });
  });

  app.all("/epay/api.php", async (req, res) => {
    const params = paramsOf(req);
    if (sender.isSlow(params.get("out_trade_no") ?? "")) await delay(options.slowMs);
    res.json(answerApi(store, params, merchant));
  });

  app.get("/pay/:out_trade_no", (req, res) => {
    const order = store.orders.get(req.params.out_trade_no);
    html(res, order ? 200 : 404, order ? payPage(order) : problemPage("There is no such order"));
  });

  function lateWait(order: SandboxOrder, afterMs: unknown): number {
    if (typeof afterMs === "number" && afterMs >= 0) return afterMs;
    const untilExpired = Date.parse(order.created_at) + options.orderTtlMs + LATE_MARGIN_MS - Date.now();
    return untilExpired > LONGEST_WAIT_MS ? LATE_MS : Math.max(0, untilExpired);
  }

  app.post("/orders/:out_trade_no/pay", async (req, res) => {
    const order = store.orders.get(req.params.out_trade_no);
    if (!order) return void res.status(404).json({ message: "There is no such order" });
    const { mode = "ok", after_ms: afterMs, back } = (req.body ?? {}) as { mode?: unknown; after_ms?: unknown; back?: unknown };
    if (typeof mode !== "string" || !isMode(mode))
      return void res.status(400).json({ message: `mode: must be one of ${MODES.join(", ")}` });
    const before = store.deliveries.at(-1)?.id ?? 0;
    const waitMs = mode === "late" ? lateWait(order, afterMs) : 0;
    const done = play({ store, sender, merchant, order, mode, waitMs });
    if (waitMs > LONGEST_WAIT_MS) return void res.status(202).json({ mode, due_at: new Date(Date.now() + waitMs).toISOString() });
    await done;
    if (back) return res.redirect(303, `/pay/${encodeURIComponent(order.out_trade_no)}`);
    res.json({ mode, order, deliveries: store.deliveries.filter((sent) => sent.id > before && sent.out_trade_no === order.out_trade_no) });
  });

  app.get("/orders/:out_trade_no", (req, res) => {
    const order = store.orders.get(req.params.out_trade_no);
    if (order) res.json(order);
    else res.status(404).json({ message: "There is no such order" });
  });

  app.get("/deliveries", (req, res) => {
    const wanted = req.query["out_trade_no"];
    res.json(store.deliveries.filter((sent) => typeof wanted !== "string" || sent.out_trade_no === wanted));
  });

  app.get("/", (_req, res) => html(res, 200, indexPage([...store.orders.values()].reverse().slice(0, SHOWN))));
  return app;
}
