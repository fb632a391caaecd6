import { joined } from "./sift.ts";

/** A stream that begins with more than this is passed on although it has no content. */
const MOST_HELD = 64;

/** Events that come before any content: held back, for another provider may still have to be asked. */
export class EarlyEvents {
  #held: Buffer[] | undefined = [];

  /** What goes on now, of `out` and what was held back. A provider that failed before any content leaves no trace. */
  release(out: Buffer | undefined, state: "open" | "done" | "failed", content: { readonly hasContent: boolean }): Buffer | undefined {
    const held = this.#held;
    if (!held) return out;
    if (out) held.push(out);
    if (state !== "done" && !(state === "open" && held.length >= MOST_HELD) && !content.hasContent) return undefined;
    this.#held = undefined;
    return joined(held);
  }
}
