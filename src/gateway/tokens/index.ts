import { LRUCache } from "lru-cache";
import { cutLongRuns } from "./pieces.ts";

type Count = (text: string) => number;

/** Counts tokens as `o200k_base` does; for models with another vocabulary that is an estimate. */
export interface Tokenizer {
  /** Tokens of `text`. `budget` is shared by the parts of one call: what lies beyond it is counted as bytes ÷ 3. */
  count(text: string, budget: Budget): number;
  /** Resolves when the tables are loaded; until then everything is counted as bytes ÷ 3. */
  ready: Promise<void>;
}

/** How much text one call may still have tokenized, in bytes of UTF-8. */
export interface Budget {
  left: number;
}

/** Past this much text a count is bytes ÷ 3. */
export const TOKENIZER_LIMIT = 256 * 1024;
const REMEMBER_FROM = 64;
const REMEMBER_TO = 16 * 1024;

/** A fresh budget for one call. */
export const newBudget = (): Budget => ({ left: TOKENIZER_LIMIT });

const bytesThird = (text: string): number => Math.ceil(Buffer.byteLength(text) / 3);

/**
 * Creates the tokenizer and begins to load its tables (about 60 MB, 0.2 s) in the background. Counts of recent texts are kept: chats
 * repeat their system prompt and history in every call.
 */
export function createTokenizer(): Tokenizer {
  let tokens: Count | undefined;
  const known = new LRUCache<string, number>({ max: 5_000, maxSize: 8 * 1024 * 1024, sizeCalculation: (_count, text) => text.length * 2 });
  const ready = import("gpt-tokenizer/encoding/o200k_base").then((encoding) => {
    tokens = (text) => encoding.countTokens(text);
  });

  function tokenized(text: string): number {
    // Text that looks like a control token is only text here; the library refuses it, so it is broken up.
    const plain = text.includes("<|") ? text.replaceAll("<|", "< |") : text;
    let sum = 0;
    for (const piece of cutLongRuns(plain)) sum += tokens!(piece);
    return sum;
  }

  return {
    ready,
    count(text, budget) {
      if (text.length === 0) return 0;
      if (!tokens) return bytesThird(text);
      const bytes = text.length < 1_024 ? text.length : Buffer.byteLength(text);
      if (bytes > budget.left) {
        const cut = Math.floor((text.length * budget.left) / bytes);
        budget.left = 0;
        return (cut > 0 ? tokenized(text.slice(0, cut)) : 0) + bytesThird(text.slice(cut));
      }
      budget.left -= bytes;
      if (text.length < REMEMBER_FROM || text.length > REMEMBER_TO) return tokenized(text);
      let count = known.get(text);
      if (count === undefined) known.set(text, (count = tokenized(text)));
      return count;
    },
  };
}
