const LIMIT = 1_000;

/** A provider's message made fit for a stranger: no addresses, keys, organisation or project ids, control characters; at most 1000 characters. */
export function sanitizeMessage(text: string): string {
  return text
    .slice(0, 4 * LIMIT)
    .replace(/[\p{Cc}\p{Cf}]+/gu, " ")
    .replace(/\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>)\]]+/gi, "[address]")
    .replace(/\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b/g, "[address]")
    .replace(/\[?\b(?:[0-9a-f]{1,4}:){3,}[0-9a-f:]*\]?/gi, "[address]")
    .replace(/\blocalhost(?::\d+)?\b/gi, "[address]")
    .replace(/\b(?:[a-z0-9-]+\.)+(?:internal|local|lan|svc|cluster\.local)\b(?::\d+)?/gi, "[address]")
    .replace(/\b(?:Bearer\s+)?(?:sk|pk|rk|key|gsk|xai|AIza)[-_][\w*-]{6,}/g, "[key]")
    .replace(/\bBearer\s+\S+/gi, "[key]")
    .replace(/\b(?:org|proj|user|acct)[-_][A-Za-z0-9]{8,}/g, "[id]")
    .trim()
    .slice(0, LIMIT);
}
