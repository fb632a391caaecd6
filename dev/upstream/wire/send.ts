import type { ServerResponse } from "node:http";
import type { CallRecord } from "../control/calls.ts";
import type { Directives } from "../control/directives.ts";
import type { Answer } from "../endpoint.ts";
import type { Vendor } from "../vendors.ts";
import { sendBytes } from "./bytes.ts";
import { sendEvents } from "./events.ts";
import { sendWhole } from "./whole.ts";
import { wireTo, type Wire } from "./wire.ts";

const HTML = "<!doctype html><title>Welcome</title><h1>Captive portal</h1><p>Sign in to the network to go on.</p>";

/** One answer on its way. */
export interface Sending {
  response: ServerResponse;
  wire: Wire;
  vendor: Vendor;
  directives: Directives;
  record: CallRecord;
  paceMs: number;
  /** The vendor's own headers, and what faults add to them. */
  headers: Record<string, string>;
}

/** Writes an error in the vendor's shape. */
export function sendError(
  response: ServerResponse,
  vendor: Vendor,
  id: string,
  status: number,
  error: { message: string; param?: string | null; code?: string | null },
): void {
  const body = JSON.stringify(vendor.errorBody(status, error, id));
  response.writeHead(status, { ...vendor.headers(id), "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
}

/** Acts out the faults that come before the first byte; true when nothing more is to be sent. */
function failedAtOnce({ response, wire, vendor, directives: { faults } }: Sending, id: string): boolean {
  if (faults.dead) wire.destroy();
  else if (faults.status) {
    const status = Number(faults.status["code"] ?? 503);
    if (faults.status["retry_after"]) response.setHeader("retry-after", faults.status["retry_after"]);
    if (faults.status["retry_after_ms"]) response.setHeader("retry-after-ms", faults.status["retry_after_ms"]);
    sendError(response, vendor, id, status, { message: `The demo upstream was told to answer ${status}.` });
  } else if (faults.redirect) {
    response.writeHead(302, { location: faults.redirect["to"] ?? "http://127.0.0.1:9/" }).end();
  } else if (faults.html_page) {
    response.writeHead(Number(faults.html_page["code"] ?? 200), { "content-type": "text/html; charset=utf-8" }).end(HTML);
  } else return false;
  return true;
}

/** Sends one answer as planned and as told. Resolves when it is complete, was broken off, or the caller left. */
export async function send(
  response: ServerResponse,
  answer: Answer,
  call: { id: string; vendor: Vendor; directives: Directives; record: CallRecord; paceMs: number },
): Promise<void> {
  const { faults, delayMs, paceMs } = call.directives;
  const wire = wireTo(response, faults.compressed?.["encoding"] ?? (faults.compressed ? "gzip" : undefined));
  const headers = { ...call.vendor.headers(call.id), ...wire.headers };
  if (faults.huge_headers) headers["x-demo-filler"] = "x".repeat(Number(faults.huge_headers["bytes"] ?? 65_536));
  const sending = { response, wire, headers, ...call, paceMs: paceMs ?? (faults.tiny_events ? 0 : call.paceMs) };
  await wire.wait(delayMs ?? 0);
  if (wire.gone) return;
  if (faults.hang) return wire.forever();
  if (failedAtOnce(sending, call.id)) return;
  if (answer.kind === "events") await sendEvents(sending, answer);
  else if (answer.kind === "bytes") await sendBytes(sending, answer);
  else await sendWhole(sending, answer);
}
