import type { ActivityEvent } from "./event.ts";

/** An event on its way to its consumers: whoever needs its JSON first makes it, for all. */
export class Entry {
  readonly event: ActivityEvent;
  #json: string | undefined;

  constructor(event: ActivityEvent) {
    this.event = event;
  }

  /** On one line. */
  get json(): string {
    return (this.#json ??= JSON.stringify(this.event));
  }
}
