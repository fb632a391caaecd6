const LIMIT = 1_000;

/** Ends of names that are hosts; other dotted words are paths in the caller's own body. */
const HOST =
  /\b(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:com|net|org|io|ai|cn|dev|app|cloud|co|info|biz|tech|xyz|site|online|us|eu|uk|de|fr|jp|hk|sg|internal|local|lan|svc|intra|corp)\b(?:\.(?:cn|hk|jp|uk|local))?(?::\d+)?(?:\/[^\s"'<>)\]]*)?/gi;
/** Any name with a port that has dots, or a path after it. */
const NAMED_PORT = /\b(?:(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*:\d{2,5}(?:\/[^\s"'<>)\]]*)?|[a-z][a-z0-9-]*:\d{2,5}\/[^\s"'<>)\]]*)/gi;
/** Ids that the caller has sent itself or was given. */
const PUBLIC_ID = /^(?:call|toolu|srvtoolu|resp|msg|fc|rs|ws|req|chatcmpl|cmpl|item|conv|file)[-_]/;

/** A run that nobody types: a key, most likely. */
const isSecret = (run: string): boolean => /[A-Za-z0-9]{20,}/.test(run) && /\d/.test(run) && /[A-Za-z]/.test(run) && !PUBLIC_ID.test(run);

/** A provider's message made fit for a stranger: no addresses, keys, organisation or project ids, control characters; at most 1000 characters. */
export function sanitizeMessage(text: string): string {
  return text
    .slice(0, 4 * LIMIT)
    .replace(/[\p{Cc}\p{Cf}]+/gu, " ")
    .replace(/\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>)\]]+/gi, "[address]")
    .replace(/\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b/g, "[address]")
    .replace(/\[?\b(?:[0-9a-f]{1,4}:){3,}[0-9a-f:]*\]?/gi, "[address]")
    .replace(/\blocalhost(?::\d+)?\b/gi, "[address]")
    .replace(HOST, "[address]")
    .replace(NAMED_PORT, "[address]")
    .replace(/\b(?:Bearer\s+)?(?:sk|pk|rk|key|gsk|xai|hf|nvapi|pplx|r8|fw|AIza)[-_][\w*-]{6,}/g, "[key]")
    .replace(/\bAIza[\w*-]{6,}/g, "[key]")
    .replace(/\bBearer\s+\S+/gi, "[key]")
    .replace(/\b[0-9a-f]{32}\.\w{6,}/gi, "[key]")
    .replace(/\b(?:org|proj|user|acct)[-_][A-Za-z0-9]{8,}/g, "[id]")
    .replace(/[\w-]{20,}/g, (run) => (isSecret(run) ? "[key]" : run))
    .trim()
    .slice(0, LIMIT);
}
