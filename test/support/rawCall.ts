import { request } from "node:http";

/** An answer as it came off the socket. */
export interface RawAnswer {
  /** 0 when there was none. */
  status: number;
  headers: Record<string, string | string[] | undefined>;
  bytes: Buffer;
  text: string;
  /** The pieces in which the body came. */
  pieces: Buffer[];
  /** The connection broke, or was closed by us, before the answer was complete. */
  broken: boolean;
}

export interface RawCall {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** Closes the connection as soon as what came so far makes this true. */
  leave?(soFar: string): boolean;
  /** Closes it when so much came. */
  mostBytes?: number;
  /** Closes it when told. */
  signal?: AbortSignal;
  /** Closes it when nothing came for so long. */
  patienceMs?: number;
}

/** One call over a connection of its own, without any client's kindness. Never rejects. */
export function rawCall(url: string, call: RawCall): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let answer = { status: 0, headers: {} as RawAnswer["headers"] };
    const done = (broken: boolean): void => {
      const bytes = Buffer.concat(pieces);
      resolve({ ...answer, bytes, text: bytes.toString("utf8"), pieces, broken });
    };
    const sent = request(url, { method: call.method ?? "POST", headers: call.headers ?? {}, agent: false });
    call.signal?.addEventListener("abort", () => sent.destroy());
    if (call.patienceMs !== undefined) sent.setTimeout(call.patienceMs, () => sent.destroy());
    sent.on("error", () => done(true));
    sent.on("response", (response) => {
      answer = { status: response.statusCode ?? 0, headers: response.headers };
      let size = 0;
      response.on("data", (piece: Buffer) => {
        pieces.push(piece);
        size += piece.length;
        if (size > (call.mostBytes ?? Infinity)) sent.destroy();
        if (call.leave?.(Buffer.concat(pieces).toString())) sent.destroy();
      });
      response.on("end", () => done(!response.complete));
      response.on("error", () => done(true));
    });
    sent.end(call.body);
  });
}
