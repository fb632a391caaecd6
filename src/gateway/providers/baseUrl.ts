/** Why a base URL was refused, or its stored form. */
export type BaseUrl = { ok: true; baseUrl: string; host: string } | { ok: false; problem: string };

const VERSION = /\/v\d+$/i;

/**
 * The form in which a base URL is stored: without trailing slashes and without a trailing `/v1`, so that `https://x/api`, `https://x/api/`,
 * `https://x/api/v1` and `https://x/api/v1/` are the same provider. Only http and https; no credentials, query or fragment.
 */
export function parseBaseUrl(text: string): BaseUrl {
  // The URL parser drops tabs and line breaks silently.
  if (/[\s\p{Cc}\\]/u.test(text)) return { ok: false, problem: "must not contain spaces, control characters or backslashes" };
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return { ok: false, problem: "must be a URL beginning with http:// or https://" };
  const url = new URL(text);
  if (url.username || url.password) return { ok: false, problem: "must not contain credentials; give the key as api_key" };
  if (url.search || url.hash || /[?#]/.test(text)) return { ok: false, problem: "must not contain a query or fragment" };
  const path = url.pathname.replace(/\/+$/, "").replace(/\/v1$/i, "").replace(/\/+$/, "");
  return { ok: true, baseUrl: url.origin + path, host: url.hostname };
}

/**
 * What upstream paths such as `/chat/completions` are appended to: the stored base URL and `/v1`. A base URL that names another version
 * (Zhipu: `https://open.bigmodel.cn/api/paas/v4`) keeps that instead.
 */
export function apiRoot(baseUrl: string): string {
  return VERSION.test(new URL(baseUrl).pathname) ? baseUrl : `${baseUrl}/v1`;
}
