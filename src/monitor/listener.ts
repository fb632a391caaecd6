import type { ServerResponse } from "node:http";
import { filterKey, type MonitorFilter } from "./filter.ts";
import { message } from "./messages.ts";

/** Why a listener is sent away. `slow`: it does not take what it is sent; `unavailable`: Redis is away. It may come back and go on where it was. */
export type ByeReason = "slow" | "signed_out" | "shutdown" | "unavailable";

/** What may wait for a client to take it. The texts are shared by all listeners, so many slow ones do not cost many times as much. */
const MOST_WAITING = 1024 * 1024;
/** How long a client that was sent away has to take its last words. */
const PATIENCE_MS = 5_000;

/** One operator's open stream. */
export class Listener {
  readonly id: string;
  readonly userId: string;
  readonly sessionId: string;
  readonly filter: MonitorFilter;
  readonly key: string;
  readonly res: ServerResponse;
  /** It came back with the id of what it had seen. */
  readonly resumed: boolean;
  /** The last entry it was sent or did not want; "" before the first. */
  cursor: string;
  /** It has caught up and is sent what comes. */
  live = false;
  closed = false;
  readonly #mostWaiting: number;

  constructor(options: {
    id: string;
    userId: string;
    sessionId: string;
    filter: MonitorFilter;
    res: ServerResponse;
    lastEventId: string | undefined;
    mostWaiting?: number | undefined;
  }) {
    this.id = options.id;
    this.userId = options.userId;
    this.sessionId = options.sessionId;
    this.filter = options.filter;
    this.key = filterKey(options.filter);
    this.res = options.res;
    this.resumed = options.lastEventId !== undefined;
    this.cursor = options.lastEventId ?? "";
    this.#mostWaiting = options.mostWaiting ?? MOST_WAITING;
  }

  /** Hands it on; false when the client has not taken enough of what it was sent before to be sent more. */
  send(text: Buffer | string): boolean {
    if (this.closed) return true;
    if (this.res.writableLength > this.#mostWaiting) return false;
    this.res.write(text);
    return true;
  }

  /** Ends the stream with the reason. The client finds it behind what it has not taken yet. */
  bye(reason: ByeReason): void {
    if (this.closed) return;
    this.closed = true;
    this.res.end(message("bye", JSON.stringify({ reason })));
    setTimeout(() => this.res.destroy(), PATIENCE_MS).unref();
  }
}
