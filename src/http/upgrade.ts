import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";

/** Takes over the connection of a request for a WebSocket. */
export type Upgrade = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

const pathOf = (url = "/"): string => url.split("?", 1)[0]!;

/** The request as it came, but for the wish to speak something else. */
function plainHead(req: IncomingMessage): string {
  const lines = [`${req.method} ${req.url} HTTP/${req.httpVersion}`];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i]!;
    const value = req.rawHeaders[i + 1]!;
    const lower = name.toLowerCase();
    if (lower === "upgrade" || lower === "http2-settings") continue;
    if (lower !== "connection") {
      lines.push(`${name}: ${value}`);
      continue;
    }
    const left = value.split(",").filter((token) => !/^\s*(upgrade|http2-settings)\s*$/i.test(token));
    if (left.length > 0) lines.push(`${name}: ${left.join(",").trim()}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/**
 * WebSockets at `paths`. As soon as a server has WebSockets at all, Node hands over every request with an Upgrade header, also of clients that would
 * merely like HTTP/2 (`Upgrade: h2c`, as Java's client sends it first). Those get what they had before: their request is served as if they had not asked,
 * which a server may do (RFC 9110, 7.8).
 */
export function serveUpgrades(server: Server, paths: ReadonlyMap<string, Upgrade>): void {
  server.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    const take = /^websocket$/i.test(req.headers.upgrade ?? "") ? paths.get(pathOf(req.url)) : undefined;
    if (take) return take(req, socket, head);
    socket.unshift(Buffer.concat([Buffer.from(plainHead(req), "latin1"), head]));
    server.emit("connection", socket);
  });
}
