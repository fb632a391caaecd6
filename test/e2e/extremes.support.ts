import net, { type Socket } from "node:net";
import { readFileSync } from "node:fs";
import type { Product } from "../support/people.ts";

/** `npm run test:full` runs an experiment as large as it is stated. */
export const scaled = (full: number, small: number): number => (process.env["TEST_SCALE"] === "full" ? full : small);

/** Bytes of memory a process has in use now. Only on Linux. */
export function memoryOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  return Number(kilobytes) * 1_024;
}

/** One call over a socket of its own, so that a test decides when it reads and what it sends. */
export interface RawClient {
  socket: Socket;
  /** What was read so far. */
  said(): string;
  closed: Promise<void>;
}

/** Connects to the product's api and sends these bytes. */
export function rawClient(at: Product, bytes: string | Buffer): RawClient {
  const { hostname, port } = new URL(at.api);
  const socket = net.connect(Number(port), hostname);
  let said = "";
  socket.on("data", (chunk) => (said += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  socket.write(bytes);
  return { socket, said: () => said, closed: new Promise((resolve) => socket.on("close", () => resolve())) };
}

/** A chat request as it goes over the wire. */
export function chatRequest(key: string, body: object): string {
  const text = JSON.stringify(body);
  return `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}
