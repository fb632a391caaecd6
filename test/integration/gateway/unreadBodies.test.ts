import { expect } from "chai";
import { once } from "node:events";
import net from "node:net";
import { useStack } from "../../support/stack.ts";
import { startRelay, type Customer, type Relay } from "./harness.ts";

/** More than fits into the buffers of both sides. */
const LARGE = 24 * 1_048_576;

describe("a request that is refused while it is still being sent", () => {
  const places = useStack();
  let relay: Relay;
  let ada: Customer;

  before(async () => {
    relay = await startRelay(places, { RELAY_BODY_LIMIT_MB: "1" });
    ada = await relay.customer();
  });
  after(() => relay?.close());

  /** Sends all of it and only then reads, as many clients do. */
  async function sendThenRead(key: string, framing: "length" | "chunked"): Promise<string> {
    const { hostname, port } = new URL(relay.url);
    const socket = net.connect(Number(port), hostname);
    const how = framing === "length" ? `content-length: ${LARGE}` : "transfer-encoding: chunked";
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\n${how}\r\n\r\n`,
    );
    const piece = Buffer.alloc(65_536, "x");
    const framed = framing === "length" ? piece : Buffer.concat([Buffer.from("10000\r\n"), piece, Buffer.from("\r\n")]);
    for (let sent = 0; sent < LARGE; sent += piece.length) if (!socket.write(framed)) await once(socket, "drain");
    if (framing === "chunked") socket.write("0\r\n\r\n");
    let said = "";
    for await (const chunk of socket) said += String(chunk);
    return said;
  }

  for (const framing of ["length", "chunked"] as const) {
    it(`is told that it is too large when it has been sent (${framing})`, async () => {
      const said = await sendThenRead(ada.key, framing);
      expect(said).to.match(/^HTTP\/1\.1 413 /);
      expect(said)
        .to.contain('"code":"payload_too_large"')
        .and.match(/connection: close/i);
    });

    it(`is told that its key is not valid when it has been sent (${framing})`, async () => {
      const said = await sendThenRead("sk-tk-no", framing);
      expect(said).to.match(/^HTTP\/1\.1 401 /);
      expect(said).to.contain('"code":"invalid_api_key"');
    });
  }
});
