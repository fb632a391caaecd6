import type { TokenClasses, Units } from "../../pricing/index.ts";
import type { Budget, Tokenizer } from "./index.ts";

/** Content beyond this is kept as a length only; a token is at least three bytes in the long run. */
const TEXT_LIMIT = 1024 * 1024;

/** What was delivered, counted by us. */
export interface Delivered {
  /** Whether any content (text, refusal, tool call, reasoning) was in it. */
  content: boolean;
  tokens: number;
  /** The prompt's classes, where the provider says them before the answer; `output` and `reasoning` are none of it. */
  prompt?: TokenClasses | undefined;
  /** The prompt as we count it comes to that: what was still being answered is not in what the provider said. */
  promptToo?: boolean;
  /** What is priced per one, where the answer itself shows it. Unlike tokens these are known, not estimated. */
  units?: Units | undefined;
}

/** Text that arrives in pieces, several texts interleaved; counted once at the end, each text as a whole. */
export class GatheredText {
  readonly #texts = new Map<string, string>();
  #length = 0;
  #overflow = 0;

  /** Adds a piece to one of the texts; anything but text is nothing. */
  append(name: string, piece: unknown): void {
    if (typeof piece !== "string" || piece === "") return;
    if (this.#length > TEXT_LIMIT) {
      this.#overflow += Buffer.byteLength(piece);
      return;
    }
    this.#length += piece.length;
    this.#texts.set(name, (this.#texts.get(name) ?? "") + piece);
  }

  get hasContent(): boolean {
    return this.#texts.size > 0;
  }

  count(tokenizer: Tokenizer, budget: Budget): Delivered {
    let tokens = Math.ceil(this.#overflow / 3);
    for (const text of this.#texts.values()) tokens += tokenizer.count(text, budget);
    return { content: this.#texts.size > 0, tokens };
  }
}
