import type { ServerResponse } from "node:http";
import type { CallRecord } from "./calls.ts";
import { milliseconds } from "./directives.ts";
import { completionOf, eventsOf } from "./events.ts";
import type { Plan } from "./plan.ts";
import { wireTo, type Wire } from "./wire.ts";

const DEFAULT_AFTER = 3;
const HTML = "<!doctype html><title>Welcome</title><h1>Captive portal</h1><p>Sign in to the network to go on.</p>";

/** What vendors send along and a relay must not pass on. */
export const VENDOR_HEADERS = {
  "openai-organization": "demo-organization",
  "openai-processing-ms": "3",
  "openai-version": "2020-10-01",
  "x-ratelimit-limit-requests": "9999",
  "x-ratelimit-remaining-requests": "9998",
  "x-ratelimit-reset-requests": "6ms",
  "set-cookie": "__cf_bm=demo; path=/; HttpOnly",
  "cf-ray": "0123456789abcdef-DEM",
  server: "demo",
};

/** Writes the error in OpenAI's shape. */
export function sendError(
  response: ServerResponse,
  status: number,
  error: { message: string; type?: string; code?: string | null; param?: string | null },
): void {
  const body = JSON.stringify({ error: { type: "invalid_request_error", param: null, code: null, ...error } });
  response.writeHead(status, { ...VENDOR_HEADERS, "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
}

function sendFaultStatus(response: ServerResponse, options: Record<string, string>): void {
  const status = Number(options["code"] ?? 503);
  const type = status === 429 ? "rate_limit_error" : status >= 500 ? "server_error" : "invalid_request_error";
  if (options["retry_after"]) response.setHeader("retry-after", options["retry_after"]);
  sendError(response, status, {
    message: `The demo upstream was told to answer ${status}.`,
    type,
    code: status === 429 ? "rate_limit_exceeded" : null,
  });
}

/** Answers one call as planned. Resolves when the answer is complete, was broken off, or the caller left. */
export async function answer(response: ServerResponse, plan: Plan, record: CallRecord, stream: boolean): Promise<void> {
  const wire = wireTo(response);
  const { faults, delayMs } = plan.directives;
  await wire.wait(delayMs ?? 0);
  if (wire.gone) return;
  if (faults.dead) return wire.destroy();
  if (faults.hang) return wire.forever();
  if (faults.status) return sendFaultStatus(response, faults.status);
  if (faults.redirect) {
    response.writeHead(302, { location: faults.redirect["to"] ?? "http://127.0.0.1:9/" }).end();
    return;
  }
  if (faults.wrong_content_type) {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(HTML);
    return;
  }
  await (stream ? sendStream(response, wire, plan, record) : sendWhole(response, wire, plan));
}

async function sendStream(response: ServerResponse, wire: Wire, plan: Plan, record: CallRecord): Promise<void> {
  const { faults } = plan.directives;
  response.writeHead(200, {
    ...VENDOR_HEADERS,
    "x-request-id": plan.id,
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
  });
  response.flushHeaders();
  if (faults.die_after_headers) {
    await wire.wait(20);
    return wire.destroy();
  }
  if (faults.hang_after_headers) return wire.forever();

  const eol = faults.crlf ? "\r\n" : "\n";
  const write = async (data: string): Promise<void> => {
    const event = `${faults.comments ? `: a comment${eol}${eol}` : ""}data: ${data}${eol}${eol}`;
    if (faults.split_utf8) await wire.writeApart(cutInsideCharacter(event), 2);
    else if (faults.trickle) {
      await wire.writeApart(
        inParts(Buffer.from(event), Number(faults.trickle["bytes"] ?? 7)),
        milliseconds(faults.trickle["every"] ?? "5ms"),
      );
    } else await wire.write(event);
  };

  for (const event of eventsOf(plan)) {
    if (wire.gone) return;
    if (event.content && (await interrupted(response, wire, plan, record.chunks, write))) return;
    await write(event.data);
    if (event.content) record.chunks += 1;
    if (plan.paceMs > 0 && event.content) await wire.wait(plan.paceMs);
  }
  if (!wire.gone) response.end();
}

/** Acts out the faults that strike after some chunks; true when nothing more is to be sent. */
async function interrupted(
  response: ServerResponse,
  wire: Wire,
  plan: Plan,
  sent: number,
  write: (data: string) => Promise<void>,
): Promise<boolean> {
  const { faults } = plan.directives;
  const strikes = (fault: Record<string, string> | undefined) =>
    fault !== undefined && sent === Math.min(Number(fault["after"] ?? DEFAULT_AFTER), plan.pieces.length - 1);
  if (strikes(faults.die_mid_stream)) {
    // What was written before must arrive, or the break could come before the first byte.
    await wire.wait(20);
    wire.destroy();
    return true;
  }
  if (strikes(faults.error_in_band)) {
    await write(
      JSON.stringify({ error: { message: "The demo upstream is overloaded.", type: "server_error", param: null, code: "overloaded" } }),
    );
    response.end();
    return true;
  }
  if (strikes(faults.no_terminal)) {
    response.end();
    return true;
  }
  if (strikes(faults.bad_json)) await write('{"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"oh');
  if (strikes(faults.silent)) {
    const time = faults.silent?.["for"];
    await (time ? wire.wait(milliseconds(time)) : wire.forever());
  }
  return wire.gone;
}

async function sendWhole(response: ServerResponse, wire: Wire, plan: Plan): Promise<void> {
  const { faults } = plan.directives;
  const body = Buffer.from(JSON.stringify(completionOf(plan)));
  const lie = faults.content_length_lie ? Number(faults.content_length_lie["by"] ?? 100) : 0;
  const sent = faults.bad_json ? body.subarray(0, body.length >> 1) : body;
  await wire.wait(plan.paceMs * Math.min(plan.pieces.length, 20));
  if (wire.gone) return;
  response.writeHead(200, {
    ...VENDOR_HEADERS,
    "x-request-id": plan.id,
    "content-type": "application/json",
    "content-length": sent.length + lie,
  });
  if (faults.hang_after_headers || faults.die_after_headers) {
    response.flushHeaders();
    await (faults.hang_after_headers ? wire.forever() : wire.wait(20));
    return wire.destroy();
  }
  if (faults.die_mid_stream || faults.silent) {
    await wire.write(sent.subarray(0, sent.length >> 1));
    await (faults.silent ? wire.forever() : wire.wait(20));
    return wire.destroy();
  }
  if (faults.trickle)
    await wire.writeApart(inParts(sent, Number(faults.trickle["bytes"] ?? 7)), milliseconds(faults.trickle["every"] ?? "5ms"));
  else if (faults.split_utf8) await wire.writeApart(cutInsideCharacter(sent.toString()), 2);
  else await wire.write(sent);
  const { socket } = response;
  // A length that promises more than came: only the end of the connection says so.
  response.end(() => {
    if (lie > 0) socket?.end();
  });
}

function inParts(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

/** Cut after the first byte of the first character that has several, or in the middle. */
function cutInsideCharacter(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  const lead = bytes.findIndex((byte) => byte >= 0xc0);
  const at = lead < 0 ? bytes.length >> 1 : lead + 1;
  return [bytes.subarray(0, at), bytes.subarray(at)];
}
