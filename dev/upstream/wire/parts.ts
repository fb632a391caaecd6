import { milliseconds, type Directives } from "../control/directives.ts";
import type { Sending } from "./send.ts";
import type { Wire } from "./wire.ts";

function inParts(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

/** Cut after the first byte of the first character that has several, or in the middle. */
function cutInsideCharacter(bytes: Buffer): Buffer[] {
  const lead = bytes.findIndex((byte) => byte >= 0xc0);
  const at = lead < 0 ? bytes.length >> 1 : lead + 1;
  return [bytes.subarray(0, at), bytes.subarray(at)];
}

/** Writes bytes whole, or cut as the call was told. */
export async function writeCut(wire: Wire, { faults }: Directives, bytes: Buffer): Promise<void> {
  if (faults.split_utf8) await wire.writeApart(cutInsideCharacter(bytes), 2);
  else if (faults.trickle) {
    await wire.writeApart(inParts(bytes, Number(faults.trickle["bytes"] ?? 7)), milliseconds(faults.trickle["every"] ?? "5ms"));
  } else await wire.write(bytes);
}

/** Headers and then nothing, or the end of the connection; true when the call was told that. */
export async function stoppedAfterHeaders(wire: Wire, { faults }: Directives): Promise<boolean> {
  if (faults.die_after_headers) await wire.breakOff();
  else if (faults.hang_after_headers) await wire.forever();
  else return false;
  return true;
}

const DEFAULT_AFTER = 3;

/** True when this fault strikes after `sent` of `total` content events. */
export function strikes(fault: Record<string, string> | undefined, sent: number, total: number): boolean {
  return fault !== undefined && sent === Math.min(Number(fault["after"] ?? DEFAULT_AFTER), Math.max(total - 1, 0));
}

/** Ends the answer; `lie` bytes were promised and never come, or bytes follow that belong to no answer, when told so. */
export function endAnswer({ response, wire, directives: { faults } }: Sending, lie = 0): void {
  const { socket } = response;
  if (faults.extra_bytes) response.once("finish", () => socket?.write("these bytes belong to no answer\r\n\r\n"));
  // Only the end of the connection says that no more will come.
  if (lie > 0) response.once("finish", () => socket?.end());
  wire.end();
}

/** By how much a declared length is off. */
export function lieOf({ faults }: Directives): number {
  return faults.content_length_lie ? Number(faults.content_length_lie["by"] ?? 100) : 0;
}

/** The true content type, or the wrong one that was told. */
export function contentTypeOf({ faults }: Directives, right: string): string {
  return faults.wrong_content_type ? (faults.wrong_content_type["type"] ?? "text/plain") : right;
}

const STRANGE = { x_strange: { deep: [1, null, { κλειδί: "τιμή" }] }, provider: "demo", obfuscation: "aGVsbG8" };

/** An object with fields that nobody has heard of, when told. */
export function strange({ faults }: Directives, body: object): object {
  return faults.unknown_fields ? { ...body, ...STRANGE } : body;
}
