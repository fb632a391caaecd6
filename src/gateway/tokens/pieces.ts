/** Runs of one kind of character longer than this are cut: merging byte pairs takes time that grows with the square of a run. */
const RUN_LIMIT = 64;

function kindOf(code: number): number {
  if (code <= 0x20 || code === 0xa0 || code === 0x3000) return 0;
  if (code >= 0x30 && code <= 0x39) return 1;
  if ((code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code >= 0x80) return 2;
  return 3;
}

/**
 * Cuts text where one kind of character (space, digit, letter, sign) runs on for more than {@link RUN_LIMIT}, so that no input can make
 * the tokenizer slow. Each cut adds at most one token to the count. Ordinary text comes back whole.
 */
export function cutLongRuns(text: string): string[] {
  if (text.length <= RUN_LIMIT) return [text];
  const pieces: string[] = [];
  let from = 0;
  let run = 0;
  let kind = -1;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const next = kindOf(code);
    if (next !== kind) {
      kind = next;
      run = 1;
    } else if (++run > RUN_LIMIT && (code & 0xfc00) !== 0xdc00) {
      // Never between the halves of a surrogate pair.
      pieces.push(text.slice(from, i));
      from = i;
      run = 1;
    }
  }
  pieces.push(from === 0 ? text : text.slice(from));
  return pieces;
}
