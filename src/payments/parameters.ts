const MAX_PARAMETERS = 64;
const NAME = /^[A-Za-z0-9_]{1,64}$/;

/**
 * Decodes `a=1&b=2` into flat text parameters; undefined when it is not exactly that: a repeated or nested parameter, a strange name,
 * bytes that are not URL-encoded UTF-8, too many of them.
 */
export function parseParameters(encoded: string): Record<string, string> | undefined {
  const parameters: Record<string, string> = Object.create(null) as Record<string, string>;
  if (encoded === "") return parameters;
  const pairs = encoded.split("&");
  if (pairs.length > MAX_PARAMETERS) return undefined;
  for (const pair of pairs) {
    const cut = pair.indexOf("=");
    const name = decode(cut < 0 ? pair : pair.slice(0, cut));
    const value = cut < 0 ? "" : decode(pair.slice(cut + 1));
    if (name === undefined || value === undefined || !NAME.test(name) || name in parameters) return undefined;
    parameters[name] = value;
  }
  return parameters;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
