import type { Fields } from "../../checks.ts";

/**
 * Tells the tool calls of a stream apart. Their index does, but some vendors send 0, or none, with every call: there a new id begins a
 * new one.
 */
export class CallPlaces {
  readonly #last = new Map<unknown, { id: string; place: number }>();
  #made = 0;

  /** The place of the call that this piece belongs to. */
  of(call: Fields): number {
    const index = call["index"] ?? 0;
    const id = typeof call["id"] === "string" ? call["id"] : "";
    const last = this.#last.get(index);
    if (last && (id === "" || last.id === "" || last.id === id)) {
      if (last.id === "") last.id = id;
      return last.place;
    }
    const place = this.#made;
    this.#made += 1;
    this.#last.set(index, { id, place });
    return place;
  }
}
