import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import { createBrotliCompress, createDeflate, createGzip } from "node:zlib";

/** Writes to one caller; every wait ends at once when the caller leaves. */
export interface Wire {
  readonly gone: boolean;
  /** What has to be said of the way the bytes are written. */
  readonly headers: Record<string, string>;
  /** Waits for the caller's socket to take more when it is full. */
  write(bytes: string | Buffer): Promise<void>;
  /** Each part in a packet of its own, as far as that can be had. */
  writeApart(parts: Buffer[], everyMs: number): Promise<void>;
  wait(ms: number): Promise<void>;
  /** Waits until the caller leaves. */
  forever(): Promise<void>;
  /** The answer's proper end. */
  end(): void;
  /** Breaks the connection off, when what was written before has had time to arrive. */
  breakOff(): Promise<void>;
  /** Breaks the connection off at once. */
  destroy(): void;
}

const ARRIVAL_MS = 20;
const COMPRESSORS = { gzip: createGzip, deflate: createDeflate, br: createBrotliCompress };

/** `encoding`: compresses everything that is written, and flushes after each write. */
export function wireTo(response: ServerResponse, encoding?: string): Wire {
  const left = new AbortController();
  response.once("close", () => left.abort());
  response.socket?.setNoDelay(true);
  const { signal } = left;
  const compressor = encoding === undefined ? undefined : COMPRESSORS[encoding as keyof typeof COMPRESSORS]?.();
  compressor?.on("data", (bytes: Buffer) => response.write(bytes));
  compressor?.on("end", () => response.end());

  async function unlessGone(work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  const wire: Wire = {
    get gone() {
      return signal.aborted;
    },
    headers: compressor && encoding ? { "content-encoding": encoding } : {},
    async write(bytes) {
      if (signal.aborted) return;
      if (compressor) {
        compressor.write(bytes);
        await new Promise<void>((resolve) => compressor.flush(resolve));
      } else if (!response.write(bytes)) await unlessGone(once(response, "drain", { signal }));
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
    end() {
      if (signal.aborted) return;
      if (compressor) compressor.end();
      else response.end();
    },
    async breakOff() {
      await wire.wait(ARRIVAL_MS);
      response.destroy();
    },
    destroy() {
      response.destroy();
    },
  };
  return wire;
}
