import { once } from "node:events";
import net from "node:net";

/** More than fits into the buffers of both sides. */
const LARGE = 24 * 1_048_576;

export type Framing = "length" | "chunked";

/** Sends a large body to its end and only then reads the answer, as many clients do; rejects when the connection is reset meanwhile. */
export async function sendThenRead(
  url: string,
  request: { path: string; headers: Record<string, string>; framing: Framing },
): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname);
  const { path, framing } = request;
  const headers = {
    host: "x",
    ...request.headers,
    ...(framing === "length" ? { "content-length": String(LARGE) } : { "transfer-encoding": "chunked" }),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  const piece = Buffer.alloc(65_536, "x");
  const framed = framing === "length" ? piece : Buffer.concat([Buffer.from("10000\r\n"), piece, Buffer.from("\r\n")]);
  for (let sent = 0; sent < LARGE; sent += piece.length) if (!socket.write(framed)) await once(socket, "drain");
  if (framing === "chunked") socket.write("0\r\n\r\n");
  let said = "";
  for await (const chunk of socket) {
    said += String(chunk);
    // One that is kept is not closed by the other side.
    if (/^connection: keep-alive/im.test(said) && said.endsWith("}")) break;
  }
  socket.destroy();
  return said;
}
