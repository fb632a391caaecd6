import type { Locale } from "./users.ts";

const TEXT = {
  en: {
    verified: ["Your address is verified", "You can close this page and go on where you were."],
    refused: ["This link does not work", "It is wrong, was used before or has expired. Ask for a new one."],
  },
  "zh-CN": {
    verified: ["邮箱已验证", "您可以关闭此页面并继续操作。"],
    refused: ["链接无效", "链接错误、已使用或已过期，请重新获取。"],
  },
} as const;

/** The page behind the mailed link. It holds nothing that came from the request. */
export function verifiedPage(locale: Locale, outcome: "verified" | "refused"): string {
  const [title, text] = TEXT[locale][outcome];
  return `<!doctype html>
<html lang="${locale}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="referrer" content="no-referrer">
  <title>${title}</title>
  <style>body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}</style>
</head>
<body>
  <h1>${title}</h1>
  <p>${text}</p>
</body>
</html>
`;
}
