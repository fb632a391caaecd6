import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";

/** Writes to one caller; every wait ends at once when the caller leaves. */
export interface Wire {
  readonly gone: boolean;
  readonly signal: AbortSignal;
  /** Waits for the caller's socket to take more when it is full. */
  write(bytes: string | Buffer): Promise<void>;
  /** Each part in a packet of its own, as far as that can be had. */
  writeApart(parts: Buffer[], everyMs: number): Promise<void>;
  wait(ms: number): Promise<void>;
  /** Waits until the caller leaves. */
  forever(): Promise<void>;
  /** Breaks the connection off. */
  destroy(): void;
}

export function wireTo(response: ServerResponse): Wire {
  const left = new AbortController();
  response.once("close", () => left.abort());
  response.socket?.setNoDelay(true);
  const { signal } = left;
  const unlessGone = async (work: Promise<unknown>): Promise<void> => {
    await work.catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  };

  const wire: Wire = {
    get gone() {
      return signal.aborted;
    },
    signal,
    async write(bytes) {
      if (signal.aborted || response.write(bytes)) return;
      await unlessGone(once(response, "drain", { signal }));
    },
    async writeApart(parts, everyMs) {
      for (const part of parts) {
        if (signal.aborted) return;
        await wire.write(part);
        await (everyMs > 0 ? wire.wait(everyMs) : nextTurn());
      }
    },
    async wait(ms) {
      if (signal.aborted || ms <= 0) return;
      await unlessGone(pause(ms, undefined, { signal }));
    },
    async forever() {
      if (signal.aborted) return;
      await once(signal, "abort");
    },
    destroy() {
      response.destroy();
    },
  };
  return wire;
}
