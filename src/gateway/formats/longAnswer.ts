/** Beyond this an answer is not parsed whole: it is mostly one long list or text, and parsing that would keep every other call waiting. */
const PARSED_WHOLE = 1024 * 1024;
/** How much of either end of a long answer is searched. */
const END = 16 * 1024;
const USAGE = /"usage"\s*:\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})/;

export const isLong = (body: Buffer): boolean => body.length > PARSED_WHOLE;

/**
 * What a long JSON answer shows at its two ends: that it is one object with a list called `data`, and the usage that stands before or
 * behind that list. Undefined when it is no such object; `usage` is undefined when there is none.
 */
export function readEnds(body: Buffer): { usage: unknown } | undefined {
  const head = body.subarray(0, END).toString("latin1");
  const tail = body
    .subarray(body.length - END)
    .toString("latin1")
    .trimEnd();
  if (!head.trimStart().startsWith("{") || !tail.endsWith("}") || !/"data"\s*:\s*\[/.test(head)) return undefined;
  const found = USAGE.exec(tail) ?? USAGE.exec(head);
  if (!found) return { usage: undefined };
  try {
    return { usage: JSON.parse(found[1]!) as unknown };
  } catch {
    return undefined;
  }
}

/** How often a key stands in a long answer. Inside a text its quotes would be escaped. */
export function countKey(body: Buffer, key: string): number {
  let count = 0;
  const needle = `"${key}"`;
  for (let at = body.indexOf(needle); at >= 0; at = body.indexOf(needle, at + needle.length)) {
    if (body[at - 1] !== 0x5c) count += 1;
  }
  return count;
}
