import { failure, type Failure } from "../pipeline/failure.ts";
import type { Delivered, StreamReader } from "../pipeline/format.ts";

/**
 * Reads an answer of bytes that nobody here understands. Each chunk passes on when the next has come; the last is the tail. What it costs
 * is `count`'s business, which is told how many bytes were handed on.
 */
export class BytesReader implements StreamReader {
  state: "open" | "done" | "failed" = "open";
  failure: Failure | undefined;
  tail: Buffer | undefined;
  readonly usage = undefined;
  readonly unreadableUsage = false;
  readonly unreadable = false;
  readonly #count: (bytes: number) => Delivered;
  #waiting: Buffer | undefined;
  #passed = 0;

  constructor(count: (bytes: number) => Delivered) {
    this.#count = count;
  }

  push(chunk: Buffer): Buffer | undefined {
    const out = this.#waiting;
    this.#waiting = chunk;
    this.#passed += out?.length ?? 0;
    return out;
  }

  end(): undefined {
    if (this.#waiting) {
      this.state = "done";
      this.tail = this.#waiting;
      this.#passed += this.#waiting.length;
    } else {
      this.state = "failed";
      this.failure = failure("upstream_error", {
        message: "The provider's answer is empty",
        record: "upstream_malformed",
        class: "malformed",
        elsewhere: true,
      });
    }
    return undefined;
  }

  count(): Delivered {
    return this.#count(this.#passed);
  }

  hasContent(): boolean {
    return this.#passed > 0;
  }
}
