import { milliseconds } from "../control/directives.ts";
import type { Answer } from "../endpoint.ts";
import { OVERLOADED } from "../overloaded.ts";
import { contentTypeOf, endAnswer, lieOf, stoppedAfterHeaders, strange, writeCut } from "./parts.ts";
import type { Sending } from "./send.ts";

const MOST_STEPS = 20;
const FILLER = Buffer.alloc(16_384, "x");

type Whole = Extract<Answer, { kind: "whole" }>;

const bytesOf = (body: object | string | Buffer): Buffer =>
  Buffer.isBuffer(body) ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));

function bodyOf({ vendor, directives }: Sending, answer: Whole): Buffer {
  const { faults } = directives;
  const error = (): object => vendor.errorBody(500, { message: OVERLOADED, code: "overloaded" }, "demo");
  if (faults.failed) return bytesOf(answer.failure ?? error());
  if (faults.error_in_band) return bytesOf(error());
  const plain = typeof answer.body === "object" && !Buffer.isBuffer(answer.body);
  const body = bytesOf(plain ? strange(directives, answer.body as object) : answer.body);
  if (faults.bad_json || faults.no_terminal) return body.subarray(0, body.length >> 1);
  return faults.extra_data ? Buffer.concat([body, Buffer.from('{"and":"more"}')]) : body;
}

/** Sends an answer in one piece, with everything that can go wrong on the way. */
export async function sendWhole(sending: Sending, answer: Whole): Promise<void> {
  const { response, wire, directives } = sending;
  const { faults } = directives;
  const body = bodyOf(sending, answer);
  await wire.wait(sending.paceMs * Math.min(answer.steps ?? 0, MOST_STEPS));
  if (wire.gone) return;
  await answer.before?.();
  const lie = lieOf(directives);
  const { status = 200 } = answer;
  if (status === 204) return void response.writeHead(204, sending.headers).end();
  response.writeHead(status, {
    ...sending.headers,
    "content-type": contentTypeOf(directives, answer.contentType ?? "application/json"),
    ...(faults.endless || faults.compressed ? {} : { "content-length": String(body.length + lie) }),
  });
  response.flushHeaders();
  if (await stoppedAfterHeaders(wire, directives)) return;
  if (faults.die_mid_stream || faults.silent || faults.endless) {
    await wire.write(body.subarray(0, body.length >> 1));
    const everyMs = milliseconds(faults.endless?.["every"] ?? "1ms");
    while (faults.endless && !wire.gone) await wire.writeApart([FILLER], everyMs);
    return faults.silent ? wire.forever() : wire.breakOff();
  }
  await writeCut(wire, directives, body);
  endAnswer(sending, lie);
  answer.after?.();
}
