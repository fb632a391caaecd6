import { eventData } from "./data.ts";

/** Beyond this much, or when someone asks, events are read. */
const FOLD_BYTES = 16 * 1024;

/** Events as they came: kept by reference, for reading each when it passes would cost more. */
export class RawEvents {
  readonly #read: (data: string) => void;
  #raw: Buffer[] = [];
  #bytes = 0;

  /** `read` is given the data of each event, in order. */
  constructor(read: (data: string) => void) {
    this.#read = read;
  }

  add(bytes: Buffer): void {
    this.#raw.push(bytes);
    this.#bytes += bytes.length;
    if (this.#bytes > FOLD_BYTES) this.fold();
  }

  /** Reads what is kept. */
  fold(): void {
    const raw = this.#raw;
    this.#raw = [];
    this.#bytes = 0;
    for (const bytes of raw) for (const data of eventData(bytes)) this.#read(data);
  }
}
