import { MODES } from "./modes.ts";
import { tradeOf } from "./gateway.ts";
import type { SandboxOrder } from "./store.ts";

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);

export const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' http: https:; base-uri 'none'";

const STYLE = `:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}body{max-width:56rem;margin:2rem auto;padding:0 1rem}
form{display:inline}button{padding:.3rem .7rem;margin:.15rem}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .5rem;border-bottom:1px solid #8884;vertical-align:top}`;

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body>${body}</body></html>`;
}

function button(order: SandboxOrder, mode: string, label: string): string {
  return `<form method="post" action="/orders/${encodeURIComponent(order.out_trade_no)}/pay"><input type="hidden" name="mode" value="${mode}"><input type="hidden" name="back" value="1"><button>${escapeHtml(label)}</button></form>`;
}

const choices = (order: SandboxOrder) =>
  MODES.map((mode) => (mode === "duplicate:<n>" ? button(order, "duplicate:10", "duplicate:10") : button(order, mode, mode))).join("");

export function problemPage(problem: string): string {
  return page("Payment sandbox", `<h1>This payment cannot be opened</h1><p>${escapeHtml(problem)}</p>`);
}

/** What a buyer sees. */
export function payPage(order: SandboxOrder): string {
  const paid = tradeOf(order);
  return page(
    `Pay ${order.money} CNY`,
    `<h1>${escapeHtml(order.money)} CNY</h1><p>${escapeHtml(order.name)} · ${escapeHtml(order.type)} · ${escapeHtml(order.out_trade_no)}</p>
<p>${paid ? `Paid ${escapeHtml(paid.money)} CNY` : "Not paid yet. No real money moves here."}</p>
<p>${button(order, "ok", "Pay")}</p><details><summary>Pay in another way</summary><p>${choices(order)}</p></details>
<p><a href="${escapeHtml(order.return_url)}?out_trade_no=${encodeURIComponent(order.out_trade_no)}">Back to the shop</a> · <a href="/">All orders</a></p>`,
  );
}

/** All orders, newest first. */
export function indexPage(orders: SandboxOrder[]): string {
  const rows = orders.map((order) => {
    const paid = order.trades.map((trade) => `${trade.money} (${trade.trade_no})`).join(", ");
    return `<tr><td>${escapeHtml(order.out_trade_no)}<br><small>${escapeHtml(order.created_at)}</small></td><td>${escapeHtml(order.money)}</td>
<td>${escapeHtml(paid) || "not paid"}</td><td>${choices(order)}<br><a href="/deliveries?out_trade_no=${encodeURIComponent(order.out_trade_no)}">notices</a></td></tr>`;
  });
  return page(
    "Payment sandbox",
    `<h1>Payment sandbox</h1><p>A payment provider for trying things out. No real money moves here.</p>
${rows.length ? `<table><tr><th>Order</th><th>CNY</th><th>Paid</th><th>Do</th></tr>${rows.join("")}</table>` : "<p>No orders yet.</p>"}`,
  );
}
