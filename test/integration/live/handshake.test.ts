import { once } from "node:events";
import net from "node:net";
import { expect } from "chai";
import { uuidv7 } from "../../../src/platform/ids.ts";
import { useStack, waitFor } from "../../support/stack.ts";
import { connect, refusal } from "./client.ts";
import { createWorld, startLive, wsOf, type LiveRig } from "./rig.ts";

const GOOD = ["connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="];

describe("opening a WebSocket, whatever is sent", () => {
  const places = useStack();
  const world = createWorld();
  let rig: LiveRig;

  before(async () => {
    rig = await startLive(places.redisUrl, world, { mostConnections: 1 });
  });
  after(() => rig.close());

  const socket = async (): Promise<net.Socket> => {
    const { port } = new URL(rig.url);
    const made = net.connect(Number(port), "127.0.0.1");
    made.on("error", () => undefined);
    await once(made, "connect");
    return made;
  };
  /** Sends lines and answers the first one that comes back. */
  async function ask(start: string, lines: string[]): Promise<string> {
    const made = await socket();
    made.write(`${[start, "host: x", ...lines].join("\r\n")}\r\n\r\n`);
    const [answer] = (await once(made, "data")) as [Buffer];
    made.destroy();
    return String(answer).split("\r\n", 1)[0]!;
  }
  /** Opens one by hand, sends these bytes, and answers the close code that comes back. */
  async function closedAfter(bytes: number[]): Promise<number> {
    const made = await socket();
    made.write(`${[`GET /ws?token=${uuidv7()} HTTP/1.1`, "host: x", ...GOOD].join("\r\n")}\r\n\r\n`);
    await once(made, "data");
    const pieces: Buffer[] = [];
    made.on("data", (piece: Buffer) => pieces.push(piece));
    made.write(Buffer.from(bytes));
    await once(made, "close");
    const all = Buffer.concat(pieces);
    return all.readUInt16BE(all.lastIndexOf(0x88) + 2);
  }

  it("refuses a handshake that is none, and keeps no place for it", async () => {
    const me = uuidv7();
    const start = `GET /ws?token=${me} HTTP/1.1`;
    const without = (name: string) => GOOD.filter((line) => !line.startsWith(name));
    expect(await ask(start, without("sec-websocket-key"))).to.include(" 400 ");
    expect(await ask(start, [...without("sec-websocket-version"), "sec-websocket-version: 7"])).to.match(/ (400|426) /);
    expect(await ask(start, [...without("sec-websocket-key"), "sec-websocket-key: short"])).to.include(" 400 ");
    expect(await ask(start.replace("GET", "POST"), GOOD)).to.match(/ (400|405) /);
    const client = await connect(wsOf(rig, me));
    client.break();
  });

  it("keeps no place for who leaves while it is opened", async () => {
    const me = uuidv7();
    for (let i = 0; i < 20; i++) {
      const made = await socket();
      made.write(`${[`GET /ws?token=${me} HTTP/1.1`, "host: x", ...GOOD].join("\r\n")}\r\n\r\n`);
      if (i % 2) await new Promise((resolve) => setImmediate(resolve));
      made.resetAndDestroy();
    }
    const client = await waitFor(() => connect(wsOf(rig, me)).catch(() => undefined));
    client.break();
  });

  it("serves other paths as if no WebSocket had been asked for", async () => {
    expect(await ask("GET /nowhere HTTP/1.1", GOOD)).to.include(" 404 ");
    expect(await ask("GET /api/live/stats HTTP/1.1", GOOD)).to.include(" 401 ");
  });

  it("names what is wrong with what is asked", async () => {
    const me = uuidv7();
    for (const query of ["&last_event_id=yesterday", "&colour=red", `&topics=${"x".repeat(5_000)}`, `&topics=${"a,".repeat(60)}`])
      expect(await refusal(wsOf(rig, me, query)), query.slice(0, 30)).to.deep.equal({ status: 400, code: "validation_failed" });
    expect(await refusal(`${rig.url}/ws`)).to.deep.equal({ status: 401, code: "unauthenticated" });
    expect(await refusal(`${rig.url}/ws?ticket=lt-nothing`)).to.deep.equal({ status: 401, code: "unauthenticated" });
  });

  it("closes a connection that breaks the protocol, with the protocol's own codes", async () => {
    const masked = (first: number, payload: number[]) => [first, 0x80 | payload.length, 0, 0, 0, 0, ...payload];
    expect(await closedAfter([0x81, 0x01, 0x61]), "not masked").to.equal(1002);
    expect(await closedAfter(masked(0x81, [0xff, 0xfe])), "not UTF-8").to.equal(1007);
    expect(await closedAfter(masked(0xf1, [0x61])), "bits that mean nothing").to.equal(1002);
    expect(await closedAfter([0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), "4 GB").to.equal(1009);
  });
});
