/** What no report may hold, wherever it stands in a text: keys, tokens, passwords, addresses of people. */
const RULES: readonly [RegExp, string][] = [
  [/:\/\/[^\s/@:]*:[^\s/@]*@/g, "://[redacted]@"],
  [/\b(bearer|basic)\s+[^\s"',]+/gi, "$1 [redacted]"],
  [/\bsk-[\w-]{6,}/g, "sk-[redacted]"],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, "[redacted]"],
  [
    /\b([\w-]*(?:password|passwd|secret|token|api[_-]?key|authorization|cookie|signature|sign|code|pwd)["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s"',&;})]+)/gi,
    "$1[redacted]",
  ],
  [/\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b/g, "[e-mail]"],
  [/\b[A-Za-z0-9+_-]{40,}={0,2}/g, "[redacted]"],
];

/** The text without secrets. Errs on the side of taking out too much. */
export function redactText(text: string): string {
  return RULES.reduce((left, [pattern, instead]) => left.replace(pattern, instead), text);
}
