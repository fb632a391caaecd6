import type { Message } from "./store.ts";

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

const STYLE = `
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  article { border: 1px solid #8886; border-radius: 8px; margin: 0 0 1rem; padding: .75rem 1rem }
  h2 { font-size: 1.05rem; margin: 0 }
  p.meta { margin: .1rem 0 .5rem; opacity: .7; font-size: .85rem }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0 0 }
  iframe { width: 100%; height: 16rem; border: 1px solid #8886; border-radius: 4px; background: #fff }
`;

/** Nothing in a mail may run or load anything: the page's policy forbids it, and HTML is shown in a sandboxed frame. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; base-uri 'none'; form-action 'none'";

/** The page for people. It reloads itself. */
export function inboxPage(messages: Message[], to: string | undefined): string {
  const filter = to ? ` to ${escapeHtml(to)}` : "";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Inbox (${messages.length})</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${STYLE}</style></head>
<body><h1>Inbox</h1><p>Mail${filter} that was sent by the program on this machine. It went nowhere else.</p>
${messages.length ? messages.map(article).join("\n") : "<p>No mail yet.</p>"}
</body></html>`;
}

function article(message: Message): string {
  const receivers = message.to.map((to) => `<a href="/?to=${encodeURIComponent(to)}">${escapeHtml(to)}</a>`).join(", ");
  const html = message.html
    ? `<details><summary>As HTML</summary><iframe sandbox="" referrerpolicy="no-referrer" title="HTML" loading="lazy" srcdoc="${escapeHtml(message.html)}"></iframe></details>`
    : "";
  return `<article><h2>${escapeHtml(message.subject || "(no subject)")}</h2>
<p class="meta">${escapeHtml(message.date)} · from ${escapeHtml(message.from)} · to ${receivers}</p>
<pre>${escapeHtml(message.text)}</pre>${html}</article>`;
}
