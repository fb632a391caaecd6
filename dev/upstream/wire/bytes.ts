import { milliseconds } from "../control/directives.ts";
import type { Answer } from "../endpoint.ts";
import { contentTypeOf, endAnswer, lieOf, stoppedAfterHeaders, strikes, writeCut } from "./parts.ts";
import type { Sending } from "./send.ts";

/** Streams a body that is no text, such as sound. It has no place for an error: it can only be cut. */
export async function sendBytes(sending: Sending, { contentType, parts }: Extract<Answer, { kind: "bytes" }>): Promise<void> {
  const { response, wire, directives, record } = sending;
  const { faults } = directives;
  const lie = lieOf(directives);
  const length = parts.reduce((sum, part) => sum + part.length, 0) + lie;
  response.writeHead(200, {
    ...sending.headers,
    "content-type": contentTypeOf(directives, contentType),
    ...(lie === 0 ? {} : { "content-length": String(length) }),
  });
  response.flushHeaders();
  if (await stoppedAfterHeaders(wire, directives)) return;
  for (const [sent, part] of parts.entries()) {
    const here = (fault: Record<string, string> | undefined): boolean => strikes(fault, sent, parts.length);
    if (here(faults.die_mid_stream) || here(faults.error_in_band) || here(faults.failed)) return wire.breakOff();
    if (here(faults.no_terminal)) return wire.end();
    if (here(faults.silent)) await (faults.silent?.["for"] ? wire.wait(milliseconds(faults.silent["for"])) : wire.forever());
    while (here(faults.endless) && !wire.gone) {
      await wire.writeApart([part], milliseconds(faults.endless?.["every"] ?? "1ms"));
    }
    if (wire.gone) return;
    await writeCut(wire, directives, part);
    record.chunks = sent + 1;
    await wire.wait(sending.paceMs);
  }
  if (faults.extra_data && parts[0]) await wire.write(parts[0]);
  endAnswer(sending, lie);
}
