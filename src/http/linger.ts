import type { IncomingMessage, ServerResponse } from "node:http";

/** For clients that send on and on; the call's end is not kept waiting by it. */
const MOST_MS = 30_000;

/** Whether some of the request's body is still to come. */
export const isUnread = (req: IncomingMessage): boolean =>
  !req.complete && (Number(req.headers["content-length"] ?? 0) > 0 || req.headers["transfer-encoding"] !== undefined);

/**
 * Ends an answer whose request is still being sent. Closed at once, the connection would be reset under the client, which then may never
 * read the answer (RFC 9112, section 9.6): what still comes is read and thrown away first, for a while. `last` completes the answer as
 * its content-length says, so that whoever reads early need not wait.
 */
export function endUnread(res: ServerResponse, last: Buffer): void {
  const { req } = res;
  res.write(last);
  const timer = setTimeout(end, MOST_MS).unref();
  function end(): void {
    clearTimeout(timer);
    res.end();
  }
  req.once("end", end).once("close", end).resume();
}
